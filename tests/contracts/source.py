"""What every source must do. A source's test module subclasses this and says how to open one."""

from __future__ import annotations

import asyncio

import pytest

from syncfsm.events import Order
from syncfsm.failure import Failure
from syncfsm.pages import PageRequest
from syncfsm.sources.protocol import Page, Source

ORDERS: tuple[Order, ...] = ("newest", "oldest", "id")


def fetch(source: Source, offset: int, limit: int, order: Order = "newest") -> Page:
    page = asyncio.run(
        source.fetch(PageRequest(cursor=offset or None, offset=offset, limit=limit, order=order))
    )
    assert isinstance(page, Page), page
    return page


def fetch_listed(source: Source, *record_ids: str) -> Page:
    """Ask for records by their ids, from a place in the list that is not for the source to heed."""
    count = len(record_ids)
    request = PageRequest(cursor=20, offset=20, limit=count, order="id", record_ids=record_ids)
    page = asyncio.run(source.fetch(request))
    assert isinstance(page, Page), page
    return page


class SourceContract:
    """Subclass it with a fixture `source` (of 30 records)."""

    def test_a_check_tells_what_it_saw(self, source: Source) -> None:
        found = asyncio.run(source.check())
        assert not isinstance(found, Failure)
        assert found

    @pytest.mark.parametrize("order", ORDERS)
    def test_records_come_in_the_order_asked_for(self, source: Source, order: Order) -> None:
        keys = [record.key for record in fetch(source, 0, 100, order).records]
        assert len(keys) == 30
        assert keys == sorted(keys, reverse=order == "newest")

    @pytest.mark.parametrize("order", ORDERS)
    def test_pages_are_slices_of_the_whole(self, source: Source, order: Order) -> None:
        whole = fetch(source, 0, 100, order).records
        assert fetch(source, 7, 11, order).records == whole[7:18]
        assert fetch(source, 25, 11, order).records == whole[25:]

    def test_every_record_has_an_id_of_its_own_and_its_bytes(self, source: Source) -> None:
        records = fetch(source, 0, 100).records
        assert len({record.id for record in records}) == 30
        assert all(record.raw.startswith(b"{") and not record.problem for record in records)

    def test_past_the_end_there_is_nothing(self, source: Source) -> None:
        assert fetch(source, 1000, 10).records == ()

    def test_records_asked_for_by_id_come_and_no_others(self, source: Source) -> None:
        records = {record.id: record for record in fetch(source, 0, 100, "id").records}
        wanted = sorted(records)[3:25:4]
        page = fetch_listed(source, *reversed(wanted))
        assert len(page.records) == len(wanted)
        assert {record.id: record for record in page.records} == {id_: records[id_] for id_ in wanted}

    def test_of_records_asked_for_by_id_one_that_is_not_there_does_not_come(self, source: Source) -> None:
        first = fetch(source, 0, 1).records[0].id
        gone = "00000000-0000-4000-8000-000000000000"
        assert [record.id for record in fetch_listed(source, gone, first).records] == [first]
        assert fetch_listed(source, gone).records == ()

    def test_a_page_is_as_of_a_moment_with_a_time_zone(self, source: Source) -> None:
        assert fetch(source, 0, 1).as_of.tzinfo is not None

    def test_closing_twice_is_harmless(self, source: Source) -> None:
        async def close_twice() -> None:
            await source.aclose()
            await source.aclose()

        asyncio.run(close_twice())
