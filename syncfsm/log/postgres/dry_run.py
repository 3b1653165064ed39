"""A PostgreSQL log to try things on: it is opened for reading, and nothing is made where there is none."""

from __future__ import annotations

from syncfsm.errors import LogNotFound
from syncfsm.files.paths import MEMORY
from syncfsm.log.dry_run import DryRunLog
from syncfsm.log.postgres.store import PostgresLog
from syncfsm.log.sqlite.store import SqliteLog
from syncfsm.postgres.address import parse


def dry_run(url: str) -> DryRunLog:
    """Open the log in a schema; of one that is not there, an empty log."""
    try:
        log = PostgresLog(url, read_only=True)
    except LogNotFound:
        return DryRunLog(SqliteLog(MEMORY), path=parse(url).name, is_new=True)
    return DryRunLog(log, path=log.path, problem=log.unwritable_reason())
