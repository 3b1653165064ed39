"""What is done to a table of contacts in PostgreSQL, by a connection that is handed in.

Whatever writes looks first, in its transaction, whether the table is still the one that was found at first:
by what the server calls it, and by the id that is written beside it. A table that was dropped and made anew,
or another schema that was restored over it, has not what the log says was delivered.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from psycopg import Error
from psycopg.errors import InvalidSchemaName, UndefinedTable

from syncfsm.core.blanking import Blanking, blanking_of
from syncfsm.core.marks import Mark
from syncfsm.items.contact import Contact
from syncfsm.postgres.connection import Connection
from syncfsm.sinks.postgres.failures import crowded, foreign, is_refusal, not_allowed, read_only, replaced
from syncfsm.sinks.postgres.marks import Marks
from syncfsm.sinks.postgres.page import Page, Raced
from syncfsm.sinks.postgres.place import Place
from syncfsm.sinks.postgres.rows import Key, is_sendable, said, to_row
from syncfsm.sinks.postgres.session import Unfit
from syncfsm.sinks.postgres.tables import Look, look, prepare
from syncfsm.sinks.protocol import NOT_THERE, UpsertResult

TRIES_MAX = 5
"""How often a page begins again because somebody else made a row of it meanwhile."""

_DELETE = """
    WITH gone AS (
        SELECT source, external_id FROM {table}
        WHERE deleted_at IS NULL AND source = %s AND external_id = ANY (%s::text[])
        ORDER BY source, external_id FOR NO KEY UPDATE
    )
    UPDATE {table} AS c SET deleted_at = %s::timestamptz
    FROM gone WHERE (c.source, c.external_id) = (gone.source, gone.external_id)
"""

_KNOWN = "SELECT external_id FROM {table} WHERE source = %s AND deleted_at IS NULL"

_WHO = """
    SELECT c.oid::bigint, s.id
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN {sinks} AS s ON s.sink = c.relname
    WHERE n.nspname = %s AND c.relname = %s
"""


class Contacts:
    """A table of contacts.

    Args:
        place: Where it is.
        rng: Chance, for the id that it gets when it is made.
    """

    def __init__(self, place: Place, rng: random.Random) -> None:
        self._place = place
        self._rng = rng
        self._marks = Marks(place)
        self._who: tuple[int, str] | None = None

    def forget(self) -> None:
        """Take whatever table is there for the right one, the next time."""
        self._who = None

    def find(self, connection: Connection) -> None:
        """See that the table is there and as it must be, and make it if it never was.

        Raises:
            Unfit: It is not, or is another one than before.
        """
        if self._who is None:
            self._fit(connection)
            prepare(connection, self._place, f"{self._rng.getrandbits(128):032x}")
        with connection.transaction():
            self._check_in_place(connection)

    def inspected(self, connection: Connection) -> dict[str, str]:
        """Return what `find` would come upon, and touch nothing."""
        if self._fit(connection).oid is None:
            return {"sink": self._place.name, "table": NOT_THERE}
        count = self._place.run(connection, "SELECT count(*) FROM {table}").fetchall()[0][0]
        return {"sink": self._place.name, "contacts": str(count)}

    def is_empty(self, connection: Connection) -> bool:
        """Return whether there is not one row; the table may be missing."""
        if self._fit(connection).oid is None:
            return True
        return not self._place.run(connection, "SELECT FROM {table} LIMIT 1").rowcount

    def standing(self, connection: Connection) -> tuple[str | None, tuple[Mark, ...]]:
        """Return the id, if it has one, and the marks."""
        return self._marks.standing(connection)

    def would_blank(self, connection: Connection, contacts: dict[Key, Contact]) -> Blanking:
        """Return what a page would empty."""
        self._ensure(connection)
        rows = Page(connection, self._place, "", is_careful=False).read(list(contacts))
        return blanking_of(
            (said(row[:-1]), said(to_row(contacts[key], row[:-1]))) for key, row in rows.items() if row[-1]
        )

    def write(
        self, connection: Connection, contacts: dict[Key, Contact], mark: Mark | None, at: str
    ) -> UpsertResult:
        """Write a page and its mark, in one transaction: all of it, but for what is refused, or nothing.

        The usual page is a statement for what is new and one for what has changed. Only where the server
        refuses something in them, it is found out by halves what that is.
        """
        self._ensure(connection)
        is_careful = False
        for _ in range(TRIES_MAX):
            try:
                with connection.transaction():
                    self._check_in_place(connection)
                    page = Page(connection, self._place, at, is_careful=is_careful)
                    result = page.write(contacts) if contacts else UpsertResult()
                    if mark is not None:
                        self._marks.set(connection, mark)
            except Raced:
                continue
            except Error as error:
                if is_careful or not is_refusal(error):
                    raise
                is_careful = True
            else:
                return result
        raise Unfit(crowded(self._place.name))

    def delete(self, connection: Connection, source: str, record_ids: Sequence[str], at: str) -> int:
        """Mark rows as deleted; return how many were not."""
        self._ensure(connection)
        ids = [record_id for record_id in record_ids if is_sendable(source) and is_sendable(record_id)]
        if not ids:
            return 0
        with connection.transaction():
            self._check_in_place(connection)
            return self._place.run(connection, _DELETE, source, ids, at).rowcount

    def known(self, connection: Connection, source: str) -> frozenset[str]:
        """Return the external ids of a source that are not marked."""
        self._ensure(connection)
        if not is_sendable(source):
            return frozenset()
        with connection.transaction():
            self._check_in_place(connection)
            return frozenset(row[0] for row in self._place.run(connection, _KNOWN, source))

    def _ensure(self, connection: Connection) -> None:
        if self._who is None:
            self.find(connection)

    def _fit(self, connection: Connection) -> Look:
        """Return what is there, if it will do."""
        found, name = look(connection, self._place), self._place.name
        if found.oid is not None and not found.is_ours:
            raise Unfit(foreign(name, self._place.table))
        if found.is_read_only:
            raise Unfit(read_only(name))
        if not found.is_allowed:
            raise Unfit(not_allowed(name))
        return found

    def _check_in_place(self, connection: Connection) -> None:
        """Raise if the table is not the one that was found at first; the next time, it is."""
        who = self._found(connection)
        if who is None or self._who not in {None, who}:
            self._who = None
            raise Unfit(replaced(self._place.name))
        self._who = who

    def _found(self, connection: Connection) -> tuple[int, str] | None:
        try:
            schema, table = self._place.address.schema, self._place.table
            return self._place.run(connection, _WHO, schema, table).fetchone()
        except (UndefinedTable, InvalidSchemaName):
            return None
