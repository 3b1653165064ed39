"""Where a sink in PostgreSQL is: a table of a schema, and what it is called, without any secret."""

from __future__ import annotations

from typing import Any, LiteralString
from urllib.parse import quote, unquote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError
from syncfsm.postgres.address import Address, parse
from syncfsm.postgres.connection import Connection
from syncfsm.sinks.postgres.same_place import TABLE

Cursor = psycopg.Cursor[tuple[Any, ...]]

SINKS, MARKS = "syncfsm_sinks", "syncfsm_marks"
"""Two small tables beside the contacts. See marks.py."""

_BYTES_MAX = 63
"""PostgreSQL cuts a longer name short without an error, and two of them could be one."""

_UNACKNOWLEDGED_MS = 30_000
"""How long what was sent may stay without any sign of the server, before the connection counts as lost."""


class Place(Value, frozen=True):
    """A table, and how to reach it.

    Attributes:
        address: The schema that it is in.
        table: The table.
        name: What the sink is called.
    """

    address: Address
    table: str
    name: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Place {self.name}>"

    def run(self, connection: Connection, statement: LiteralString, *values: object) -> Cursor:
        """Execute a statement; see `composed`."""
        return connection.execute(self.composed(statement), values)

    def composed(self, statement: LiteralString) -> sql.Composed:
        """Return a statement in which `{schema}`, `{table}`, `{sinks}`, `{marks}` are those of this place.

        A percent sign in a name is doubled, since psycopg takes that of an identifier for a placeholder too
        (3.3); it is undone where there are values, be there none of them.
        """
        schema = self.address.schema.replace("%", "%%")
        tables = {"table": self.table.replace("%", "%%"), "sinks": SINKS, "marks": MARKS}
        names = {key: sql.Identifier(schema, table) for key, table in tables.items()}
        return sql.SQL(statement).format(schema=sql.Identifier(schema), **names)


def placed(url: str, password: str = "") -> Place:
    """Take the URL of a sink apart.

    Args:
        url: That of a schema, with `table` as one more parameter. See `address.parse`.
        password: What is used where the URL has none.

    Raises:
        ConfigurationError: It cannot be one. The URL is not repeated, since it may hold a password.
    """
    place, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    tables = [unquote(pair.removeprefix("table=")) for pair in pairs if pair.startswith("table=")]
    rest = "&".join(pair for pair in pairs if not pair.startswith("table="))
    table = _checked(tables)
    address = parse(f"{place}?{rest}" if rest else place)
    name = address.name
    if table != TABLE:
        name += f"{'&' if '?' in name else '?'}table={quote(table, safe='')}"
    conninfo = _completed(address.conninfo, password)
    return Place(
        address=Address(conninfo=conninfo, schema=address.schema, name=address.name), table=table, name=name
    )


def _completed(conninfo: str, password: str) -> str:
    given = conninfo_to_dict(conninfo)
    ours: dict[str, str | int] = {"tcp_user_timeout": _UNACKNOWLEDGED_MS}
    if password:
        ours["password"] = password
    missing: dict[str, Any] = {key: value for key, value in ours.items() if key not in given}
    return make_conninfo(conninfo, **missing)


def _checked(tables: list[str]) -> str:
    """Return the table that was named, or the usual one."""
    if not tables:
        return TABLE
    table = tables[-1]
    is_fit = table and table.isprintable() and len(table.encode(errors="replace")) <= _BYTES_MAX
    if not is_fit or len(tables) > 1:
        raise ConfigurationError(f"?table= names one table, in at most {_BYTES_MAX} bytes of text")
    if table in {SINKS, MARKS}:
        raise ConfigurationError(f"the table {table} is the sink's own: name another by ?table=")
    return table
