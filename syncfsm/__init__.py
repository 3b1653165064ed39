"""syncfsm: an embeddable, event-sourced sync core for CRM APIs.

    action ─► perform ─► outcome ─► decide ─► events ─► fold ─► append ─► state ─► action …
     pure     the I/O     a value    pure      facts     pure    the log   a value

What embedding takes is here; what it takes to write a source, a sink or a log is in `syncfsm.sources`,
`syncfsm.sinks` and `syncfsm.log`, and each other room has a door of its own: `syncfsm.engine`,
`syncfsm.history`, `syncfsm.explain`, `syncfsm.report`, `syncfsm.telemetry`, `syncfsm.webhooks`,
`syncfsm.workers`. To read the code, go with the flow: `core.events`, `core.machine`, `core.process`,
`core.paging`, `core.decide`, `engine.perform`, `engine.engine`, then `log`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm import moved
from syncfsm.blocking import sync
from syncfsm.core.events import Event, Recorded
from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.core.state import Progress
from syncfsm.engine import Engine, Hook, cancel
from syncfsm.errors import (
    ActiveSync,
    AppendInDoubt,
    ConfigurationError,
    CorruptLog,
    LogError,
    LogNotFound,
    LogUnwritable,
    NotActive,
    ProcessNotFound,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sinks import QuoSink, open_sink
from syncfsm.sources import AttioPeople, AttioSource, open_source

__all__ = [
    "ActiveSync",
    "AppendInDoubt",
    "AttioPeople",
    "AttioSource",
    "ConfigurationError",
    "Contact",
    "CorruptLog",
    "Engine",
    "Event",
    "Hook",
    "LogError",
    "LogNotFound",
    "LogUnwritable",
    "NotActive",
    "Options",
    "Process",
    "ProcessNotFound",
    "Progress",
    "QuoSink",
    "Recorded",
    "State",
    "SyncfsmError",
    "VersionConflict",
    "cancel",
    "open_log",
    "open_sink",
    "open_source",
    "sync",
]

moved.install()
if not TYPE_CHECKING:  # types are only those that have a name here
    __getattr__ = moved.old_names(__name__)
