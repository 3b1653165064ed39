"""One page of contacts, written into a table of PostgreSQL: what differs, and nothing besides.

An upsert that changes nothing would still lock its row and write to the server's own log. So what is there
is read first, without a lock, and compared; what differs is locked, in one order for all who write here, and
compared again, since somebody may have been faster. `RETURNING` of an upsert cannot tell a row that was made
from one that was changed: `xmax = 0` says so of plain tables only, and old and new are there from PostgreSQL
18 on. But who inserts with `DO NOTHING` hears from all versions which rows were made. Where another one of
the page is there after all, somebody else made it, and the page begins again; where not, a trigger of the
user's keeps it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

from psycopg import Error

from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import Contact
from syncfsm.postgres.connection import Connection
from syncfsm.sinks.postgres.failures import is_refusal, refusal_words
from syncfsm.sinks.postgres.place import Place
from syncfsm.sinks.postgres.rows import LISTS, NAMES, Key, Row, key_of, to_json, to_row
from syncfsm.sinks.protocol import UpsertResult

_COLUMNS = ", ".join(NAMES)
_OURS = ", ".join(f"c.{name}" for name in NAMES)
_TYPED = ", ".join(f"{name} {'text[]' if name in LISTS else 'text'}" for name in NAMES)
_SETS = ", ".join(f"{name} = w.{name}" for name in NAMES[2:])

_READ = f"""
    SELECT {_OURS}, c.deleted_at IS NULL
    FROM {{table}} AS c JOIN unnest(%s::text[], %s::text[]) AS w (source, external_id)
        ON (c.source, c.external_id) = (w.source, w.external_id)
"""  # noqa: S608 - the columns are ours

_LOCK = f"{_READ} ORDER BY c.source, c.external_id FOR NO KEY UPDATE OF c"

_INSERT = f"""
    INSERT INTO {{table}} ({_COLUMNS}, synced_at)
    SELECT {_COLUMNS}, %s::timestamptz FROM json_to_recordset(%s::json) AS w ({_TYPED})
    ON CONFLICT (source, external_id) DO NOTHING
    RETURNING source, external_id
"""  # noqa: S608 - likewise

_UPDATE = f"""
    UPDATE {{table}} AS c SET {_SETS}, synced_at = %s::timestamptz, deleted_at = NULL
    FROM json_to_recordset(%s::json) AS w ({_TYPED})
    WHERE (c.source, c.external_id) = (w.source, w.external_id)
    RETURNING c.source, c.external_id
"""  # noqa: S608 - likewise

_AT_ONCE = "SET CONSTRAINTS ALL IMMEDIATE"
"""So that what is looked at before a COMMIT only is looked at while it can be told whose row it is."""

_KEPT_OUT = "a trigger of the table keeps it out"


class Raced(Exception):
    """Somebody else made a row meanwhile that this page was about to make."""


class Page:
    """Writes one page within a transaction.

    Args:
        connection: In a transaction.
        place: The table.
        at: What the rows are to say of when they were written.
        is_careful: Whether to find the rows that the server refuses, one by one; slower, and once it is known
            that there are any.
    """

    def __init__(self, connection: Connection, place: Place, at: str, *, is_careful: bool) -> None:
        self._connection = connection
        self._place = place
        self._at = at
        self._is_careful = is_careful
        self._rejects: dict[Key, Reject] = {}

    def write(self, contacts: dict[Key, Contact]) -> UpsertResult:
        """Write what differs.

        Raises:
            Raced: Nothing is to stay of it: begin again.
            psycopg.Error: The server refuses all of it, or, unless this is careful, some of it.
        """
        there = self.read(list(contacts))
        made = [key for key in contacts if key not in there]
        locked = self._locked(_differing(contacts, there))
        made += [key for key, row in there.items() if _differs(contacts[key], row) and key not in locked]
        changed = _differing(contacts, locked)
        created, updated = self._insert(contacts, sorted(made)), self._update(contacts, changed, locked)
        back = sum(not locked[key][-1] for key in updated)  # was deleted, and came again
        return UpsertResult(
            created=len(created) + back,
            updated=len(updated) - back,
            unchanged=len(contacts) - len(created) - len(updated) - len(self._rejects),
            rejects=tuple(self._rejects.values()),
        )

    def read(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """Return the rows of these that are there; the last value of each is whether it is not deleted."""
        return self._read(_READ, keys)

    def _locked(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """Return the rows of these as they are now, and stay until the end of the transaction."""
        return self._read(_LOCK, keys) if keys else {}

    def _read(self, statement: LiteralString, keys: Sequence[Key]) -> dict[Key, Row]:
        sources, ids = [source for source, _ in keys], [external_id for _, external_id in keys]
        return {key_of(row): row for row in self._execute(statement, (sources, ids))}

    def _insert(self, contacts: dict[Key, Contact], keys: Sequence[Key]) -> set[Key]:
        written = self._written(_INSERT, [to_row(contacts[key], None) for key in keys])
        missing = self._missing(keys, written)
        if missing and self.read(missing):
            raise Raced
        self._reject_kept_out(missing)
        return written

    def _update(self, contacts: dict[Key, Contact], keys: Sequence[Key], locked: dict[Key, Row]) -> set[Key]:
        written = self._written(_UPDATE, [to_row(contacts[key], _before(locked[key])) for key in keys])
        self._reject_kept_out(self._missing(keys, written))
        return written

    def _missing(self, keys: Sequence[Key], written: set[Key]) -> list[Key]:
        """Return those that were neither written nor refused with an error."""
        return [key for key in keys if key not in written and key not in self._rejects]

    def _reject_kept_out(self, keys: Sequence[Key]) -> None:
        """Reject what was not written, though nothing failed."""
        self._rejects |= {key: Reject(record_id=key[1], reason=_KEPT_OUT) for key in keys}

    def _written(self, statement: LiteralString, rows: Sequence[Row]) -> set[Key]:
        """Return the keys of the rows that were written."""
        if not rows:
            return set()
        if not self._is_careful:
            return set(self._execute(statement, (self._at, to_json(rows))))
        return set(self._tried(statement, rows))

    def _tried(self, statement: LiteralString, rows: Sequence[Row]) -> Iterator[Key]:
        """Write rows, and where they are refused, each half of them, until it is known which ones are."""
        try:
            with self._connection.transaction():
                written = self._execute(statement, (self._at, to_json(rows)))
                self._connection.execute(_AT_ONCE)
        except Error as error:
            if not is_refusal(error):
                raise
            yield from self._halved(statement, rows, error)
        else:
            yield from written

    def _halved(self, statement: LiteralString, rows: Sequence[Row], error: Error) -> Iterator[Key]:
        middle = len(rows) // 2
        if middle:
            yield from self._tried(statement, rows[:middle])
            yield from self._tried(statement, rows[middle:])
        else:
            key = key_of(rows[0])
            self._rejects[key] = Reject(record_id=key[1], reason=refusal_words(error))

    def _execute(self, statement: LiteralString, values: Sequence[object]) -> list[Any]:
        return self._place.run(self._connection, statement, *values).fetchall()


def _before(row: Row) -> Row | None:
    """Return what a contact had; one that was deleted comes anew, and has nothing from before."""
    return row[:-1] if row[-1] else None


def _differs(contact: Contact, row: Row) -> bool:
    return not row[-1] or to_row(contact, row[:-1]) != row[:-1]


def _differing(contacts: dict[Key, Contact], rows: dict[Key, Row]) -> list[Key]:
    return [key for key, contact in contacts.items() if key in rows and _differs(contact, rows[key])]
