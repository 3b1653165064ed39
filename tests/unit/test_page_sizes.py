"""How many records a page has where nobody asks for a number: what source and sink take best."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from syncfsm.core.machine import State
from syncfsm.core.options import Options
from syncfsm.engine.engine import Engine
from syncfsm.log import EventLog, open_log
from syncfsm.sinks import Sink
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources import AttioSource, Source
from tests.fakes import WRONG_KEY, DictSink, ListSource, TestClock, to_items
from tests.quo import Quo


@pytest.fixture
def log() -> Iterator[EventLog]:
    with open_log(":memory:") as log:
        yield log


def engine_of(log: EventLog, source: Source, sink: Sink[Any]) -> Engine[Any]:
    return Engine(log, source, sink, to_items, clock=TestClock())


def attio(limit_max: int = 500) -> AttioSource:
    return AttioSource("key", options=Options(limit_max=limit_max))


def quiet(limit_max: int = 500) -> ListSource:
    """A source that does not say what it takes best."""
    source = ListSource(TestClock(), 0)
    source.options = Options(limit_max=limit_max)
    return source


@pytest.mark.parametrize(
    ("source", "sink", "page_size"),
    [
        (attio(), SqliteSink(":memory:"), 499),
        (attio(), DictSink(), 499),
        (attio(), Quo(TestClock()).sink(), 50),
        (attio(), Quo(TestClock()).sink(is_bulk=True), 499),
        (quiet(), DictSink(), 50),
        (quiet(), Quo(TestClock()).sink(is_bulk=True), 499),
        (attio(limit_max=100), SqliteSink(":memory:"), 99),
        (attio(limit_max=20), Quo(TestClock()).sink(), 19),
        (quiet(limit_max=20), DictSink(), 19),
    ],
)  # fmt: skip
def test_what_both_sides_take_best_and_the_source_gives(
    log: EventLog, source: Source, sink: Sink[Any], page_size: int
) -> None:
    assert engine_of(log, source, sink).start().page_size == page_size


def test_a_number_asked_for_is_taken_and_kept_by_whoever_goes_on(log: EventLog) -> None:
    source, sink = ListSource(TestClock(), 30), DictSink()
    source.failures = [WRONG_KEY]
    failed = asyncio.run(engine_of(log, source, sink).sync(page_size=20))
    assert (failed.state, failed.page_size) == (State.FAILED, 20)
    done = asyncio.run(engine_of(log, source, sink).sync())
    assert (done.id, done.state, done.page_size) == (failed.id, State.COMPLETED, 20)
