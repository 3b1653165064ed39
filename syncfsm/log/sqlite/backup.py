"""A copy of a log, taken in one moment beside whoever writes, and put in its place only if it is sound.

`VACUUM INTO` reads within one transaction, so that it ends however busy the writers are, and has what is
still in the `-wal` file. What was forgotten is not in it, since only what counts is copied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError, CorruptLog
from syncfsm.files.paths import is_same_file
from syncfsm.files.sqlite import is_corrupt, unwritable_advice
from syncfsm.files.whole import written_whole
from syncfsm.log.checks.verify import verify
from syncfsm.log.protocol import Scanned
from syncfsm.log.refusals import unwritable
from syncfsm.log.sqlite.file import LogFile
from syncfsm.log.sqlite.store import SqliteLog
from syncfsm.postgres.driver import is_postgres

STEPS = 50_000
"""Of SQLite's own steps, between two looks at what else there is to do."""


class BackedUp(Value, frozen=True):
    """What a copy has."""

    events: int
    bytes: int


def back_up(
    path: str,
    target: Path,
    *,
    replaces: bool = False,
    on_copied: Callable[[int], object] = lambda _bytes: None,
    on_place: Callable[[Scanned], None] | None = None,
) -> BackedUp:
    """Copy a log, verify the copy, and put it in its place; nothing half is ever there.

    Args:
        path: The log, which is only read.
        target: Where to; only its owner may read it.
        replaces: Whether a file that is there is replaced.
        on_copied: Called now and then with the bytes copied so far.
        on_place: See `verify`, which is asked of the copy.

    Raises:
        ConfigurationError: There is something at the target that stays.
        CorruptLog: The log is damaged, so that its copy would be.
        LogError: The log cannot be read.
        LogUnwritable: The copy cannot be written.
    """
    if is_postgres(path):
        raise ConfigurationError(
            "only a log in a file is copied: have the server back up its own by `pg_dump --schema`, or let "
            "`syncfsm log export` write the events"
        )
    _check(Path(path), target, replaces=replaces)
    try:
        with written_whole(target, replaces=replaces) as made:
            _copy(path, made, target, on_copied)
            events = _verified(path, made, on_place)
            size = made.stat().st_size
    except FileExistsError as error:
        raise _there(target) from error
    except OSError as error:
        raise unwritable(str(target), f"{error.strerror}; mend that") from error
    return BackedUp(events=events, bytes=size)


def _check(path: Path, target: Path, *, replaces: bool) -> None:
    """Refuse a target before anything is read."""
    if target.is_dir():
        raise ConfigurationError(f"{target} is a folder: name a file in it")
    if is_same_file(path, target):
        raise ConfigurationError(f"{target} is the log itself: name another file")
    if target.exists() and not replaces:
        raise _there(target)
    wal = Path(f"{target}-wal")
    if wal.exists() and wal.stat().st_size:
        raise ConfigurationError(
            f"{wal} is there, which belongs to another {target.name}, in use or left by a crash, and would "
            "be taken for a part of this one: name another file"
        )


def _there(target: Path) -> ConfigurationError:
    return ConfigurationError(f"{target} is there already: name another file, or replace it with --force")


def _copy(path: str, made: Path, target: Path, on_copied: Callable[[int], object]) -> None:
    file = LogFile(path, read_only=True)
    _unshadow(file.connection)
    file.connection.set_progress_handler(lambda: _looked(made, on_copied), STEPS)
    try:
        file.connection.execute("VACUUM INTO ?", (str(made),))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:  # SQLite keeps for itself what was raised
            raise KeyboardInterrupt from error
        if is_corrupt(error):
            raise _unsound(path) from error
        raise unwritable(str(target), unwritable_advice(error, str(target)) or f"{error}") from error
    finally:
        file.close()


def _unshadow(connection: sqlite3.Connection) -> None:
    """Drop what stands in for what an older log lacks: SQLite would take it for the tables of that name."""
    stand_ins = connection.execute(
        "SELECT type, name FROM temp.sqlite_schema WHERE sql IS NOT NULL"
    ).fetchall()
    for kind, name in stand_ins:
        connection.execute(f"DROP {kind} temp.{name}")


def _looked(made: Path, on_copied: Callable[[int], object]) -> None:
    """Let Python see to what is due, such as Ctrl-C, which ends the copy."""
    on_copied(made.stat().st_size)


def _verified(path: str, made: Path, on_place: Callable[[Scanned], None] | None) -> int:
    """Return how many events there are in a copy that is sound."""
    with SqliteLog(made, read_only=True) as copy:
        events, findings = verify(copy, on_place=on_place)
    if findings:
        raise _unsound(path)
    return events


def _unsound(path: str) -> CorruptLog:
    return CorruptLog(
        f"{path} is damaged, and so would its copy be, which was not kept: `syncfsm log verify {path}` says "
        f"what is wrong, and `syncfsm log export {path}` saves what is sound"
    )
