"""What a sink can do counts where its class does it; what it promises is checked wherever it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from syncfsm.core.failure import Failure
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest, Wanted, requested
from syncfsm.errors import ConfigurationError
from syncfsm.log import open_log
from syncfsm.sinks.protocol import UpsertResult, capabilities
from syncfsm.sources.protocol import Record, Transformed
from tests.fakes import DictSink, Item, ListSource, TestClock, to_items


class Miscounting(DictSink):
    """A sink that forgets to count an item."""

    async def upsert(self, items: Sequence[Item]) -> UpsertResult | Failure:
        return UpsertResult(created=len(items) - 1)


class Agreeable:
    """Answers to any name, as proxies and mocks do."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: name


async def losing(records: Sequence[Record]) -> Transformed[Item]:
    ready = await to_items(records)
    return Transformed(items=ready.items[1:])


def engine(sink: Any = None, transform: Any = to_items) -> Engine[Item]:
    return Engine(open_log(":memory:"), ListSource(TestClock(), 3), sink or DictSink(), transform)


def test_what_answers_to_any_name_can_do_nothing_of_it() -> None:
    assert set(capabilities(Agreeable())) == {None}  # type: ignore[arg-type]


def test_a_sink_that_only_deletes_cannot_say_what_is_missing() -> None:
    class Deletes(DictSink):
        async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
            return 0

    found = capabilities(Deletes())
    assert (found.deleting is None, found.enumerable) == (False, None)


def test_a_transform_that_loses_a_record_is_an_error_and_nothing_is_delivered() -> None:
    sink = DictSink()
    failure = asyncio.run(engine(sink, losing).sync()).failure
    assert failure is not None
    assert (failure.reason, failure.action, failure.resumable) == ("raised", "deliver", True)
    assert "made 2 items and 0 rejects of 3 records" in failure.error
    assert sink.items == {}


def test_a_sink_whose_counts_do_not_add_up_is_an_error() -> None:
    failure = asyncio.run(engine(Miscounting()).sync()).failure
    assert failure is not None
    assert (failure.reason, failure.action) == ("raised", "deliver")
    assert "given 3 items, and its counts add up to 2" in failure.error


def test_what_can_be_wanted_by_name_is_what_a_request_has() -> None:
    assert tuple(Wanted.__annotations__) == SyncRequest.__struct_fields__
    assert requested(SyncRequest(page_size=7), {"order": "id"}) == SyncRequest(page_size=7, order="id")


def test_only_a_sync_of_all_records_is_started_anew() -> None:
    with pytest.raises(ConfigurationError, match="not one in mode ongoing: see `take_up`"):
        engine().start(mode="ongoing")
