"""The table `contacts` in a SQLite file: one row for each (source, external id).

A contact whose record is gone is only marked, in `deleted_at`; if the record comes back, so does the contact.
Columns that somebody added are left as they are. Two more tables say who the sink is and how far it got: see
sqlite_marks.py.
"""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from sqlite_utils import Database

from syncfsm.core.blanking import Blanking, blanking_of
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.marks import Mark
from syncfsm.core.times import format_time
from syncfsm.files.paths import MEMORY, file_name
from syncfsm.files.sqlite import (
    error_name,
    is_corrupt,
    is_locked,
    lacks_shm,
    unwritable_advice,
    unwritable_reason,
)
from syncfsm.items.contact import Contact
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.sinks import sqlite_marks
from syncfsm.sinks.protocol import NOT_THERE, UpsertResult
from syncfsm.sinks.same_sink import replaced
from syncfsm.sinks.sqlite_file import NotInPlace, OfALog, SinkFile
from syncfsm.sinks.sqlite_rows import NAMES, Key, Stored, by_key, said, to_row
from syncfsm.sinks.sqlite_table import is_ours, prepare

_FOREIGN = "another program's: it has a table `contacts` of another shape; name another file"

_LOG = "the log of a sync, which holds nothing but its own; name another file"

_COLUMNS = ", ".join(NAMES)

_KNOWN = f"""
    SELECT {_COLUMNS} FROM json_each(?) AS wanted
    CROSS JOIN contacts ON external_id = wanted.value AND source = ?
    WHERE deleted_at IS NULL
"""  # noqa: S608 - the columns are ours

_WRITE = f"""
    INSERT INTO contacts ({_COLUMNS}, synced_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (external_id, source) DO UPDATE SET
        first_name = excluded.first_name, last_name = excluded.last_name, company = excluded.company,
        role = excluded.role, phone_numbers = excluded.phone_numbers, emails = excluded.emails,
        source_url = excluded.source_url, synced_at = excluded.synced_at, deleted_at = NULL
"""  # noqa: S608 - likewise

_DELETE = """
    UPDATE contacts SET deleted_at = ?
    WHERE deleted_at IS NULL AND source = ? AND external_id IN (SELECT value FROM json_each(?))
"""


class _KeptOut(sqlite3.DatabaseError):
    """So many rows were not written, though nothing failed."""


class SqliteSink:
    """Contacts in the table `contacts` of a SQLite file.

    Args:
        path: The file, made if it is missing; `:memory:` for one that is gone when closed.
        clock: For `synced_at`, the time of the last change of a row, and `deleted_at`.
        busy_timeout_s: How long to wait for another writer before the page is tried again.
        rng: Chance, for the sink's id; from the operating system if `None`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        busy_timeout_s: float = 5.0,
        rng: random.Random | None = None,
    ) -> None:
        self.path = str(path)
        self.name = f"sqlite:{file_name(self.path)}"
        self._clock = clock or SystemClock()
        self._rng = rng or random.SystemRandom()
        self._mark: Mark | None = None
        self._file = SinkFile(self.path, busy_timeout_s, prepare)

    async def check(self) -> dict[str, str] | Failure:
        """Check that the table is there, or can be made, and can be written."""
        try:
            if not is_ours(self._file.db()):
                return self._foreign(_FOREIGN)
            with self._file.writing() as db:
                db.execute("DELETE FROM contacts WHERE 0")
                self._name(db)
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
            found = self._looked_at()
        except sqlite3.DatabaseError:
            return False
        return not isinstance(found, Failure) and bool({NOT_THERE, "0"} & set(found.values()))

    def _looked_at(self) -> dict[str, str] | Failure:
        if self.path == MEMORY:
            opened = self._file.opened
            return self._counted(opened) if opened else {"sink": self.name, "file": NOT_THERE}
        reason = unwritable_reason(Path(self.path))
        if reason is not None:
            return self._unwritable(reason)
        if not Path(self.path).exists():
            return {"sink": self.name, "file": NOT_THERE}
        if lacks_shm(Path(self.path)):
            return {"sink": self.name, "file": "its writer was cut off; a sync puts it in order"}
        with self._file.glance() as db:
            return self._counted(db)

    def _counted(self, db: Database) -> dict[str, str] | Failure:
        if "contacts" not in db.table_names():
            return {"sink": self.name, "table": NOT_THERE}
        if not is_ours(db):
            return self._foreign(_FOREIGN)
        return {"sink": self.name, "contacts": str(db["contacts"].count)}

    def sink_id(self) -> str | None:
        """See `Marked.sink_id`."""
        return self._file.seen(sqlite_marks.sink_id, None)

    def marks(self) -> tuple[Mark, ...]:
        """See `Marked.marks`."""
        return self._file.seen(sqlite_marks.marks, ())

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Write the contacts that are new or changed, in one transaction."""
        try:
            return self._write(by_key(items))
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def would_blank(self, items: Sequence[Contact]) -> Blanking | Failure:
        """See `Foretelling`."""
        contacts = by_key(items)
        try:
            known = self._known(contacts)
        except sqlite3.DatabaseError as error:
            return self._failure(error)
        return blanking_of(
            (said(before), said(to_row(contacts[key], before))) for key, before in known.items()
        )

    async def upsert_marked(self, items: Sequence[Contact], mark: Mark) -> UpsertResult | Failure:
        """See `Marked.upsert_marked`."""
        self._mark = mark
        try:
            return await self.upsert(items)  # which a class of somebody's own may do in another way
        finally:
            self._mark = None

    async def set_mark(self, mark: Mark) -> Failure | None:
        """See `Marked.set_mark`."""
        try:
            self._commit([], mark)
        except sqlite3.DatabaseError as error:
            return self._failure(error)
        return None

    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Mark contacts as deleted, in one transaction. See `Deleting`."""
        wanted = msgspec.json.encode(list(record_ids)).decode()
        try:
            with self._file.writing() as db:
                return db.execute(_DELETE, [format_time(self._clock.now()), source, wanted]).rowcount
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def known(self, source: str) -> frozenset[str] | Failure:
        """Return the external ids that are not marked. See `Enumerable`."""
        sql = "SELECT external_id FROM contacts WHERE source = ? AND deleted_at IS NULL"
        try:
            return frozenset(external_id for (external_id,) in self._file.db().execute(sql, [source]))
        except sqlite3.DatabaseError as error:
            return self._failure(error)

    async def finish(self) -> Failure | None:
        """See that all that was committed is where it is looked for; nothing else is left to do."""
        try:
            self._file.check_in_place()
        except sqlite3.DatabaseError as error:
            return self._failure(error)
        return None

    async def aclose(self) -> None:
        """Close the file."""
        self._file.close()

    def connection(self) -> sqlite3.Connection:
        """Return the open connection, for reading what was written."""
        return self._file.db().conn

    def _known(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        """Return the rows of those contacts that are there."""
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for external_id, source in keys:
            wanted[source].append(external_id)
        known: dict[Key, Stored] = {}
        for source, ids in wanted.items():
            rows = self._file.db().execute(_KNOWN, [msgspec.json.encode(ids).decode(), source])
            known |= {(row[0], row[1]): row for row in rows}
        return known

    def _write(self, contacts: dict[Key, Contact]) -> UpsertResult:
        known = self._known(contacts)
        created, updated = [], []
        for key, contact in contacts.items():
            before = known.get(key)
            row = to_row(contact, before)
            if before is None:
                created.append(row)
            elif row != before:
                updated.append(row)
        changed = created + updated
        if changed or self._mark:
            self._commit(changed, self._mark)
        return UpsertResult(
            created=len(created), updated=len(updated), unchanged=len(contacts) - len(changed)
        )

    def _commit(self, changed: list[Stored], mark: Mark | None) -> None:
        with self._file.writing() as db:
            if changed:
                synced_at = format_time(self._clock.now())
                changed.sort(key=_place)  # so that each leaf of the table's tree is come to once
                written = db.conn.executemany(_WRITE, [(*row, synced_at) for row in changed]).rowcount
                if written < len(changed):
                    raise _KeptOut(len(changed) - written)
            if mark is not None:
                self._name(db)
                sqlite_marks.set_mark(db.conn, mark)

    def _name(self, db: Database) -> None:
        """Give the sink an id, if it has none yet; within a transaction."""
        sqlite_marks.prepare(db.conn, f"{self._rng.getrandbits(128):032x}")

    def _failure(self, error: sqlite3.DatabaseError) -> Failure:
        """Say what is wrong with the file; a file held by another program is worth another try."""
        if isinstance(error, OfALog):
            return self._foreign(_LOG)
        if isinstance(error, _KeptOut):
            return self._unwritable(f"a trigger in it keeps {error.args[0]} contacts out; mend that")
        if isinstance(error, NotInPlace) or not self._file.is_in_place():
            return replaced(self.name)
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


def _place(row: Stored) -> tuple[str | None, ...]:
    """Return the key of a row, by which the table is in order."""
    return row[:2]
