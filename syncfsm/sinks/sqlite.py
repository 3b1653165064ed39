"""The table `contacts` in a SQLite file: one row for each (source, external id).

A contact whose record is gone is only marked, in `deleted_at`; if the record comes back, so does the contact.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from sqlite_utils import Database

from syncfsm.core.blanking import Blanking, blanking_of
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.times import format_time
from syncfsm.files.paths import MEMORY, file_name
from syncfsm.files.sqlite import (
    LOG_APPLICATION_ID,
    error_name,
    is_corrupt,
    is_locked,
    lacks_shm,
    traceless_uri,
    unwritable_advice,
    unwritable_reason,
)
from syncfsm.items.contact import FIELDS, KEYS, Contact
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.sinks.protocol import NOT_THERE, UpsertResult

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS contacts (
        external_id   TEXT NOT NULL,
        source        TEXT NOT NULL,
        first_name    TEXT,
        last_name     TEXT,
        company       TEXT,
        role          TEXT,
        phone_numbers TEXT NOT NULL,
        emails        TEXT NOT NULL,
        source_url    TEXT,
        synced_at     TEXT NOT NULL,
        deleted_at    TEXT,
        PRIMARY KEY (external_id, source)
    ) STRICT, WITHOUT ROWID
"""

_FOREIGN = "another program's: it has a table `contacts` of another shape; name another file"

_LOG = "the log of a sync, which holds nothing but its own; name another file"

_NAMES = (*KEYS, *FIELDS)
_COLUMNS = ", ".join(_NAMES)

_KNOWN = f"""
    SELECT {_COLUMNS} FROM contacts
    WHERE deleted_at IS NULL
        AND (external_id, source) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))
"""  # noqa: S608 - the columns are ours

_WRITE = f"""
    INSERT OR REPLACE INTO contacts ({_COLUMNS}, synced_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - likewise

_DELETE = """
    UPDATE contacts SET deleted_at = ?
    WHERE deleted_at IS NULL AND source = ? AND external_id IN (SELECT value FROM json_each(?))
"""

_Stored = tuple[str | None, ...]
_Key = tuple[str, str]


class _OfALog(sqlite3.DatabaseError):
    """The file is a log, this sync's or another's."""


class SqliteSink:
    """Contacts in the table `contacts` of a SQLite file.

    Args:
        path: The file, made if it is missing; `:memory:` for one that is gone when closed.
        clock: For `synced_at`, the time of the last change of a row, and `deleted_at`.
        busy_timeout_s: How long to wait for another writer before the page is tried again.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None, busy_timeout_s: float = 5.0) -> None:
        self.path = str(path)
        self.name = f"sqlite:{file_name(self.path)}"
        self._clock = clock or SystemClock()
        self._busy_timeout_s = busy_timeout_s
        self._opened: Database | None = None

    async def check(self) -> dict[str, str] | Failure:
        """Check that the table is there, or can be made, and can be written."""
        try:
            db = self._db()
            if not _is_ours(db):
                return self._foreign(_FOREIGN)
            with db.atomic():
                db.execute("DELETE FROM contacts WHERE 0")
        except sqlite3.DatabaseError as error:
            return self._failure(error)
        return {"sink": self.name}

    async def inspect(self) -> dict[str, str] | Failure:
        """See `Inspectable.inspect`."""
        try:
            return self._looked_at()
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def is_empty(self) -> bool:
        """See `Emptiable.is_empty`; contacts that are marked as deleted count."""
        try:
            found = {} if self.path == MEMORY else self._looked_at()
        except sqlite3.DatabaseError:
            return False
        return not isinstance(found, Failure) and bool({NOT_THERE, "0"} & set(found.values()))

    def _looked_at(self) -> dict[str, str] | Failure:
        reason = None if self.path == MEMORY else unwritable_reason(Path(self.path))
        if reason is not None:
            return self._unwritable(reason)
        if not Path(self.path).exists():
            return {"sink": self.name, "file": NOT_THERE}
        if lacks_shm(Path(self.path)):
            return {"sink": self.name, "file": "its writer was cut off; a sync puts it in order"}
        connection = sqlite3.connect(traceless_uri(Path(self.path)), uri=True, isolation_level=None)
        with closing(connection):
            _check_no_log(connection)
            db = Database(connection)
            if "contacts" not in db.table_names():
                return {"sink": self.name, "table": NOT_THERE}
            if not _is_ours(db):
                return self._foreign(_FOREIGN)
            return {"sink": self.name, "contacts": str(db["contacts"].count)}

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Write the contacts that are new or changed, in one transaction."""
        try:
            return self._write(_by_key(items))
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def would_blank(self, items: Sequence[Contact]) -> Blanking | Failure:
        """See `Foretelling`."""
        contacts = _by_key(items)
        try:
            known = self._known(contacts)
        except sqlite3.DatabaseError as error:
            return self._failure(error)
        return blanking_of(
            (_said(before), _said(_to_row(contacts[key], before))) for key, before in known.items()
        )

    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Mark contacts as deleted, in one transaction. See `Deleting`."""
        wanted = msgspec.json.encode(list(record_ids)).decode()
        try:
            db = self._db()
            with db.atomic():
                return db.execute(_DELETE, [format_time(self._clock.now()), source, wanted]).rowcount
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def known(self, source: str) -> frozenset[str] | Failure:
        """Return the external ids that are not marked. See `Enumerable`."""
        sql = "SELECT external_id FROM contacts WHERE source = ? AND deleted_at IS NULL"
        try:
            return frozenset(external_id for (external_id,) in self._db().execute(sql, [source]))
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def finish(self) -> Failure | None:
        """Nothing is left to do: each page was committed."""
        return None

    async def aclose(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.conn.close()
            self._opened = None

    def connection(self) -> sqlite3.Connection:
        """Return the open connection, for reading what was written."""
        return self._db().conn

    def _db(self) -> Database:
        """Return the database; opened when it is first needed."""
        if self._opened is None:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=self._busy_timeout_s)
            try:
                _check_no_log(connection)  # before anything is changed
                connection.execute("PRAGMA journal_mode = WAL")
                # A page that the log calls delivered must survive a power cut, even if the log does not.
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(_SCHEMA)
                db = Database(connection)
                _bring_up_to_date(db)
            except BaseException:
                connection.close()
                raise
            self._opened = db
        return self._opened

    def _known(self, keys: Iterable[_Key]) -> dict[_Key, _Stored]:
        """Return the rows of those contacts that are there."""
        wanted = msgspec.json.encode(list(keys)).decode()
        return {(row[0], row[1]): row for row in self._db().execute(_KNOWN, [wanted])}

    def _write(self, contacts: dict[_Key, Contact]) -> UpsertResult:
        db = self._db()
        known = self._known(contacts)
        rows = {key: _to_row(contact, known.get(key)) for key, contact in contacts.items()}
        changed = [row for key, row in rows.items() if known.get(key) != row]
        if changed:
            synced_at = format_time(self._clock.now())
            with db.atomic():
                db.conn.executemany(_WRITE, [(*row, synced_at) for row in changed])
        created = sum((row[0], row[1]) not in known for row in changed)
        return UpsertResult(
            created=created, updated=len(changed) - created, unchanged=len(rows) - len(changed)
        )

    def _failure(self, error: sqlite3.DatabaseError) -> Failure:
        """Say what is wrong with the file; a file held by another program is worth another try."""
        if isinstance(error, _OfALog):
            return self._foreign(_LOG)
        advice = unwritable_advice(error, self.path)
        if advice is None and is_corrupt(error):
            return self._foreign(f"no sound SQLite file ({error_name(error)}); name another file")
        kind = FailureKind.LOCKED if is_locked(error) else FailureKind.UNWRITABLE
        advice = advice or f"SQLite refuses it ({error_name(error)})"
        return self._unwritable(advice, kind)

    def _unwritable(self, advice: str, kind: FailureKind = FailureKind.UNWRITABLE) -> Failure:
        return Failure(kind=kind, message=f"the sink {self.name} cannot be written: {advice}.")

    def _foreign(self, what: str) -> Failure:
        return Failure(kind=FailureKind.FOREIGN, message=f"the file of the sink {self.name} is {what}.")


def _check_no_log(connection: sqlite3.Connection) -> None:
    """Raise if a file says of itself that it is a log."""
    if connection.execute("PRAGMA application_id").fetchone() == (LOG_APPLICATION_ID,):
        raise _OfALog


def _bring_up_to_date(db: Database) -> None:
    """Let a table of an older version mark what is deleted."""
    if _is_ours(db) and "deleted_at" not in _columns(db):
        try:
            db.execute("ALTER TABLE contacts ADD COLUMN deleted_at TEXT")
        except sqlite3.OperationalError:
            if "deleted_at" not in _columns(db):  # else another process was first
                raise


def _columns(db: Database) -> dict[str, int]:
    """Return the place of each column of `contacts` in its key; 0 if it is not in it."""
    return {name: key for _, name, _, _, _, key in db.execute("PRAGMA table_info(contacts)")}


def _is_ours(db: Database) -> bool:
    """Whether the table `contacts` has the columns and the key that this sink needs."""
    columns = _columns(db)
    wanted = {*_COLUMNS.split(", "), "synced_at"}
    return wanted <= columns.keys() and {name for name in columns if columns[name]} == {
        "external_id",
        "source",
    }


def _by_key(items: Iterable[Contact]) -> dict[_Key, Contact]:
    return {(item.external_id, item.source): item for item in items}


def _said(row: _Stored) -> dict[str, str | None]:
    """Return what a row says of a person, by column; an empty list says nothing."""
    values = row[len(KEYS) :]
    return {name: None if value == "[]" else value for name, value in zip(FIELDS, values, strict=True)}


def _to_row(contact: Contact, before: _Stored | None) -> _Stored:
    """Return the row of a contact; what is unknown of it stays as it was."""
    row = _whole_row(contact)
    if before is None or not contact.unknown:
        return row
    columns = zip(_NAMES, before, row, strict=True)
    return tuple(old if name in contact.unknown else new for name, old, new in columns)


def _whole_row(contact: Contact) -> _Stored:
    return (
        contact.external_id,
        contact.source,
        contact.first_name,
        contact.last_name,
        contact.company,
        contact.role,
        msgspec.json.encode(contact.phone_numbers).decode(),
        msgspec.json.encode(contact.emails).decode(),
        contact.source_url,
    )
