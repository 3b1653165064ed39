"""A SQLite log to try things on: no byte of its file, nor of what lies beside it, is changed."""

from __future__ import annotations

from pathlib import Path

from syncfsm.files.paths import MEMORY
from syncfsm.files.sqlite import unwritable_reason
from syncfsm.log.dry_run import DryRunLog
from syncfsm.log.sqlite.store import SqliteLog


def dry_run(path: str) -> DryRunLog:
    """Open a file; of one that is not there, or empty, an empty log."""
    file = Path(path)
    is_memory = path == MEMORY
    is_new = is_memory or not file.exists() or not file.stat().st_size
    log = SqliteLog(MEMORY) if is_new else SqliteLog(path, read_only=True, traceless=True)
    return DryRunLog(log, path=path, is_new=is_new, problem=None if is_memory else unwritable_reason(file))
