"""syncfsm: an embeddable, event-sourced sync core for CRM APIs.

    action ─► perform ─► outcome ─► decide ─► events ─► fold ─► append ─► state ─► action …
     pure     the I/O     a value    pure      facts     pure    the log   a value

Everything public is here. To read the code, go with the flow: `events`, `machine`, `process`,
`pagination`, `decide`, `perform`, `engine`, then `log`.
"""

from __future__ import annotations

from syncfsm.blocking import sync
from syncfsm.core.decide import next_action
from syncfsm.core.events import Event, Recorded
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process, fold
from syncfsm.core.state import Progress
from syncfsm.engine.commit import Hook, cancel
from syncfsm.engine.engine import Engine
from syncfsm.errors import (
    ActiveSync,
    ConfigurationError,
    CorruptLog,
    InvalidTransition,
    LogError,
    LogNotFound,
    LogUnwritable,
    NotActive,
    ProcessNotFound,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog, open_log
from syncfsm.sinks import open_sink
from syncfsm.sinks.factory import SinkFactory, SinkSettings
from syncfsm.sinks.protocol import Sink, UpsertResult
from syncfsm.sinks.quo.sink import QuoSink
from syncfsm.sources import OpenedSource, open_source
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.axiscare import AxisCareClients, AxisCareSource
from syncfsm.sources.factory import SourceFactory, SourceSettings
from syncfsm.sources.numbered import NumberedApi, NumberedSource
from syncfsm.sources.protocol import Page, Record, Source, Transform, Transformed

__all__ = [
    "ActiveSync",
    "AttioPeople",
    "AttioSource",
    "AxisCareClients",
    "AxisCareSource",
    "ConfigurationError",
    "Contact",
    "CorruptLog",
    "Engine",
    "Event",
    "EventLog",
    "Failure",
    "FailureKind",
    "Hook",
    "InvalidTransition",
    "LogError",
    "LogNotFound",
    "LogUnwritable",
    "NotActive",
    "NumberedApi",
    "NumberedSource",
    "OpenedSource",
    "Options",
    "Page",
    "Process",
    "ProcessNotFound",
    "Progress",
    "QuoSink",
    "Record",
    "Recorded",
    "Reject",
    "Sink",
    "SinkFactory",
    "SinkSettings",
    "Source",
    "SourceFactory",
    "SourceSettings",
    "State",
    "SyncfsmError",
    "Transform",
    "Transformed",
    "UpsertResult",
    "VersionConflict",
    "cancel",
    "fold",
    "next_action",
    "open_log",
    "open_sink",
    "open_source",
    "sync",
]
