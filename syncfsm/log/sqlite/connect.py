"""Opening a log's file, and saying in words what SQLite says in codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database

from syncfsm.errors import CorruptLog, LogError, LogNotFound
from syncfsm.files.paths import MEMORY
from syncfsm.files.private import make_private
from syncfsm.files.sqlite import (
    LOG_APPLICATION_ID,
    error_name,
    is_corrupt,
    is_locked,
    lacks_shm,
    traceless_uri,
    unwritable_advice,
)
from syncfsm.log.refusals import NewerLog, unwritable
from syncfsm.log.sqlite.schema import migrations, shadows
from syncfsm.log.sqlite.shapes import disguise, intruder

PAGE_BYTES = 8192
"""The page size of a new file. The events of a page of 50 records have about 2.5 KB: three fit, where of
SQLite's 4096 bytes a third would stay empty. A log that is there keeps its own."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn SQLite's errors into this package's, with what to do about them."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our own mistake
    except UnicodeDecodeError as error:  # SQLite's own words quote bytes that are no text
        raise CorruptLog(f"{path} is not a sound SQLite file: {error}") from error
    except sqlite3.DatabaseError as error:
        if is_corrupt(error):
            raise CorruptLog(f"{path} is not a sound SQLite file: {error_name(error)}") from None
        advice = unwritable_advice(error, path)
        if advice is None:
            raise LogError(f"{path}: {error}") from error
        raise unwritable(path, advice, is_locked=is_locked(error)) from error


def connect(
    path: str,
    *,
    read_only: bool,
    create: bool,
    synchronous: str,
    busy_timeout_s: float,
    traceless: bool = False,
) -> sqlite3.Connection:
    """Open a log's file, make or migrate its tables, and check that it is a log."""
    if path != MEMORY and (read_only or not create) and not Path(path).exists():
        raise _not_found(path)
    if Path(path).is_dir():
        raise LogError(f"{path} is a folder: name the file of a log in it")
    with translated(path):
        if traceless:
            if lacks_shm(Path(path)):
                raise LogError(
                    f"{path} lost the file {path}-shm before its writer was done, and cannot be read without "
                    f"making that anew: `syncfsm log ls {path}` does, then try again"
                )
            return _shadowed(_readable(_open(traceless_uri(Path(path)), busy_timeout_s), path))
        if read_only:
            return _shadowed(_readable(_open_read_only(path, busy_timeout_s), path))
        if create and path != MEMORY:
            make_private(path)  # with --capture it has all that came
        connection = _open(_uri(path, "rwc" if create else "rw"), busy_timeout_s)
        try:
            _prepare(connection, path, synchronous)
        except BaseException:
            connection.close()
            raise
        return connection


def _uri(path: str, mode: str) -> str:
    if path == MEMORY:
        return "file::memory:"
    return f"file:{quote(str(Path(path).absolute()))}?mode={mode}"


def _open(uri: str, busy_timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=busy_timeout_s)
    connection.execute("PRAGMA trusted_schema = OFF")  # the file may be anybody's
    connection.execute("PRAGMA recursive_triggers = ON")  # what replaces a row deletes one: it is refused too
    return connection


def _open_read_only(path: str, busy_timeout_s: float) -> sqlite3.Connection:
    """Open for reading, also where the folder forbids the files that WAL makes beside the log."""
    connection = _open(_uri(path, "ro"), busy_timeout_s)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:
        connection.close()
        if Path(f"{path}-wal").exists():
            raise
        return _open(f"{_uri(path, 'ro')}&immutable=1", busy_timeout_s)
    return connection


def _prepare(connection: sqlite3.Connection, path: str, synchronous: str) -> None:
    """Make a new file a log; bring an older log up to date; refuse any other database."""
    if path == MEMORY:
        with closing(sqlite3.connect(MEMORY)) as new:
            new.deserialize(_new_log())
            new.backup(connection)
    elif _is_empty(connection):
        _lay_out(connection)
    else:
        _checked(connection, path)  # before anything is changed
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    _migrate(connection)


@cache
def _new_log() -> bytes:
    """Return the bytes of a new log: who simulates opens one in memory for each seed."""
    with closing(_open(_uri(MEMORY, "rwc"), 0.0)) as connection:
        _lay_out(connection)
        _migrate(connection)
        return connection.serialize()


def _lay_out(connection: sqlite3.Connection) -> None:
    """Say how a new file is laid out: once anything is in it, either would be ignored in silence.

    So would the size of pages behind `auto_vacuum`, which settles it.
    """
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a log's tables up to date."""
    db = Database(connection)
    if migrations.pending(db):
        connection.execute("BEGIN IMMEDIATE")  # of two workers that make the same log, one does it
        migrations.apply(db)
        connection.execute(f"PRAGMA application_id = {LOG_APPLICATION_ID}")
        connection.execute("COMMIT")


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_schema").fetchone()[0])


def _not_found(path: str) -> LogNotFound:
    return LogNotFound(f"there is no log {path}: check the path; `syncfsm sync --log` makes one")


def _readable(connection: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """Return the connection if it can be read from; close it if not."""
    try:
        if not _is_empty(connection):
            return _checked(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.close()
    raise LogNotFound(f"the log {path} is empty: nothing was written to it yet")


def _checked(connection: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """Return the connection if its file is a log that this code can read."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != LOG_APPLICATION_ID:
        connection.close()
        raise LogError(f"{path} is not a syncfsm log: name another file")
    _refuse(connection, path, disguise(connection))  # before anything is read
    newer = applied(connection) - {migration.name for migration in migrations._migrations}  # noqa: SLF001
    if newer:
        connection.close()
        raise NewerLog(
            f"{path} was written by a newer syncfsm ({', '.join(sorted(newer))}): upgrade to read it"
        )
    _refuse(connection, path, intruder(connection))
    return connection


def _refuse(connection: sqlite3.Connection, path: str, why: str | None) -> None:
    if why is not None:
        connection.close()
        raise CorruptLog(f"{path} is not built as a log is: {why}, so it is not used")


def applied(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the migrations that a log has had."""
    return {migration.name for migration in migrations.applied(Database(connection))}


def _shadowed(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let a connection that may not migrate an older log read it all the same."""
    connection.execute("PRAGMA temp_store = MEMORY")
    for statement in shadows(applied(connection)):
        connection.execute(statement)
    return connection
