"""The sink in PostgreSQL: the contract on each version, and what is particular to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg import sql

from syncfsm.items.contact import Contact
from syncfsm.sinks.postgres.place import placed
from syncfsm.sinks.postgres.rows import NAMES
from syncfsm.sinks.postgres.sink import PostgresSink
from tests.contracts.sink import SinkContract, run
from tests.fakes import TestClock
from tests.postgres import NEWEST, VERSIONS, a_schema, admin

COLUMNS = ", ".join(NAMES)


def ask(url: str, statement: Any, *values: object, version: int = NEWEST) -> list[Any]:
    """Return what a statement of somebody else's brings; `{table}`, `{schema}` are those of the sink."""
    place = placed(url)
    composed = sql.SQL(statement).format(
        table=sql.Identifier(place.address.schema, place.table), schema=sql.Identifier(place.address.schema)
    )
    cursor = admin(version).execute(composed, values or None)
    return cursor.fetchall() if cursor.description else []


def in_postgres(url: str, version: int = NEWEST) -> set[Contact]:
    """Return all contacts; the table is not there before anything is written."""
    try:
        rows = ask(url, f"SELECT {COLUMNS} FROM {{table}} WHERE deleted_at IS NULL", version=version)
    except psycopg.errors.UndefinedTable:
        return set()
    found = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return {
        Contact(**(contact | {name: tuple(contact[name]) for name in ("phone_numbers", "emails")}))
        for contact in found
    }


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"pg{version}")
class TestPostgresSink(SinkContract):
    @pytest.fixture
    def fresh(self, version: int) -> Iterator[Callable[[], Any]]:
        with ExitStack() as schemas:

            def make() -> Any:
                url = schemas.enter_context(a_schema(version))
                return PostgresSink(url, clock=TestClock()), lambda: in_postgres(url, version)

            yield make

    @pytest.fixture
    def url(self, version: int) -> Iterator[str]:
        with a_schema(version) as url:
            yield url

    @pytest.fixture
    def sink(self, url: str) -> Iterator[PostgresSink]:
        sink = PostgresSink(url, clock=TestClock())
        yield sink
        run(sink.aclose())

    @pytest.fixture
    def stored(self, url: str, version: int) -> Callable[[], set[Contact]]:
        return lambda: in_postgres(url, version)
