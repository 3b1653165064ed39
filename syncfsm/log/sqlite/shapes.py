"""Is a file built as a log is? Its tables, indexes and triggers, held against those of our migrations.

What would mislead whoever reads, or run when we write, is refused when a log is opened: a view in the place
of a table, a trigger that is none of ours. What else is missing, added or changed is for `log verify`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from functools import lru_cache
from typing import NamedTuple

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from syncfsm.log.sqlite.schema import TRIGGERS, migrations

_OWN = {
    "events",
    "processes",
    "sides",
    "captures",
    "inbox",
    "tally",
    "prunings",
    "pruning_now",
    "sqlite_sequence",
    Migrations.migrations_table,
}
"""The tables that are read or written."""

_KEPT_BY_OTHERS = {Migrations.migrations_table}
"""Made by sqlite-utils, each version of it in its own way: only whether it is there counts."""


class _Thing(NamedTuple):
    """A table, an index, a trigger or a view, as SQLite keeps it in its schema."""

    kind: str
    name: str
    table: str
    root: int | None
    sql: str

    @property
    def words(self) -> str:
        return f"the {self.kind} {self.name}"

    @property
    def is_table(self) -> bool:
        """Whether it is one that holds its rows itself."""
        return self.kind == "table" and bool(self.root) and not self.sql.upper().startswith("CREATE VIRTUAL")


def disguise(connection: sqlite3.Connection) -> str | None:
    """Return what stands in the place of a table of ours and is none; null if nothing does."""
    for thing in _things(connection):
        if thing.name.lower() in _OWN and not thing.is_table:
            return f"{thing.words} is no table"
    return None


def intruder(connection: sqlite3.Connection) -> str | None:
    """Return a trigger on a table of ours that is none of ours; null if there is none."""
    for thing in _things(connection):
        if thing.kind != "trigger" or thing.table.lower() not in _OWN:
            continue
        ours = f"CREATE TRIGGER {thing.name} {TRIGGERS.get(thing.name, '')}"
        if _normal(thing.sql) != _normal(ours):
            return f"{thing.words} is none that syncfsm makes"
    return None


def differences(connection: sqlite3.Connection, applied: AbstractSet[str]) -> list[str]:
    """Return how a log is not built as its own migrations build one: what is missing, added or changed.

    Args:
        connection: Of the log.
        applied: The names of the migrations that it had; an older log is judged by these.
    """
    due = {(thing.kind, thing.name): thing for thing in _built(frozenset(applied))}
    found = {(thing.kind, thing.name): thing for thing in _of_a_log(_things(connection))}
    both = [(thing, found[key]) for key, thing in due.items() if key in found]
    return [
        *(f"{thing.words} is missing" for key, thing in due.items() if key not in found),
        *(f"{thing.words} was added: syncfsm makes none" for key, thing in found.items() if key not in due),
        *(words for one, other in both if (words := _change(one, other))),
    ]


def _change(due: _Thing, found: _Thing) -> str | None:
    """Return how a thing differs from what it should be, null if it does not."""
    if due.name in _KEPT_BY_OTHERS or _normal(due.sql) == _normal(found.sql):
        return None
    if due.kind != "table" or not found.is_table:
        return f"{due.words} is not as syncfsm makes it"
    one, other = _parts(due.sql), _parts(found.sql)
    less, more = (
        [part for part in these if part not in those] for these, those in ((one, other), (other, one))
    )
    told = [f"without {part!r}" for part in less] + [f"with {part!r}" for part in more]
    return f"{due.words} is not as syncfsm makes it: {', '.join(told)}" if told else None


@lru_cache(maxsize=8)
def _built(applied: frozenset[str]) -> tuple[_Thing, ...]:
    """Return what a log is made of that had these migrations."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        db = Database(connection)
        migrations.ensure_migrations_table(db)
        for migration in migrations._migrations:  # noqa: SLF001 - they are ours
            if migration.name in applied:
                migration.fn(db)
        return tuple(_of_a_log(_things(connection)))


def _things(connection: sqlite3.Connection) -> list[_Thing]:
    """Return all that is in a file, but not what a connection makes for itself."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, rootpage, coalesce(sql, '') FROM main.sqlite_schema"
    )
    return [_Thing(*row) for row in rows]


def _of_a_log(things: Iterable[_Thing]) -> Iterator[_Thing]:
    """Yield what counts: not what SQLite keeps for its planner, nor the indexes of sqlite-utils' table."""
    for thing in things:
        is_theirs = thing.table in _KEPT_BY_OTHERS and thing.kind == "index"
        if not is_theirs and not thing.name.startswith("sqlite_stat"):
            yield thing


def _normal(sql: str) -> str:
    """Return a definition without what does not matter in it: white space, and how SQLite quotes names."""
    return re.sub(r"\s*([(),=;])\s*", r"\1", re.sub(r"\s+", " ", sql.replace('"', ""))).strip()


def _parts(sql: str) -> list[str]:
    """Return the columns and rules of a table, and what follows them; the order does not matter."""
    parts, depth = [""], 0
    for letter in _normal(sql):
        depth += (letter == "(") - (letter == ")")
        if (letter, depth) in {(",", 1), ("(", 1), (")", 0)}:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
