"""The event log in a SQLite file: WAL, one transaction for each append.

`synchronous=NORMAL` is the default: a power cut may take the last events, and losing them is safe, since
their pages are fetched again and sinks are idempotent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from syncfsm.log.composed import ComposedLog
from syncfsm.log.routes import ModelRoutes
from syncfsm.log.sqlite.audit import SqliteAudit
from syncfsm.log.sqlite.captures import SqliteCaptures
from syncfsm.log.sqlite.events import SqliteEvents
from syncfsm.log.sqlite.file import LogFile
from syncfsm.log.sqlite.inbox import SqliteInbox
from syncfsm.log.sqlite.model import SqliteModel
from syncfsm.log.sqlite.pruning import SqlitePruning


class SqliteLog(ComposedLog):
    """An `EventLog` in one SQLite file. See `open_log`, and `LogFile` for the options."""

    def __init__(self, path: str | Path, **options: Any) -> None:
        file = LogFile(path, **options)
        model = SqliteModel(file)
        pruning = SqlitePruning(file)
        events = SqliteEvents(file, model, pruning.pruning_of)
        super().__init__(
            events=events,
            routes=ModelRoutes(model, events, events.resumed_after),
            inbox=SqliteInbox(file),
            captures=SqliteCaptures(file),
            audit=SqliteAudit(file, events.load),
            restoring=events,
            pruning=pruning,
            close=file.close,
        )
        self.path = file.path
        self.at_once = file.at_once
        self._connection = file.connection

    def __repr__(self) -> str:
        """Name the file."""
        return f"<SqliteLog {self.path}>"
