"""What every source must do. A source's test module subclasses a contract and says how to open one.

`SourceContract` is for sources that page by offset, `NumberedContract` for pages with numbers, and
`CursorContract` for pages that name the next one; what they have in common is in `AnySourceContract`.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import pytest

from syncfsm.core.failure import Failure
from syncfsm.core.options import Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.protocol import Page, Record, Source, Transform

ORDERS: tuple[Order, ...] = ("newest", "oldest", "id")


def fetch(source: Source, offset: int, limit: int, order: Order = "newest") -> Page:
    return ask(source, PageRequest(cursor=offset or None, offset=offset, limit=limit, order=order))


def fetch_after(source: Source, token: str | None, limit: int, order: Order = "id") -> Page:
    return ask(source, PageRequest(cursor=None, offset=0, limit=limit, order=order, token=token))


def fetch_listed(source: Source, *record_ids: str) -> Page:
    """Ask for records by their ids, from a place in the list that is not for the source to heed."""
    count = len(record_ids)
    return ask(source, PageRequest(cursor=20, offset=20, limit=count, order="id", record_ids=record_ids))


def ask(source: Source, request: PageRequest) -> Page:
    page = asyncio.run(source.fetch(request))
    assert isinstance(page, Page), page
    return page


class Without:
    """A source that has one record less than another."""

    def __init__(self, source: Source, record_id: str) -> None:
        self._source = source
        self._record_id = record_id

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    async def fetch(self, request: PageRequest) -> Page | Failure:
        page = await self._source.fetch(request)
        if isinstance(page, Failure):
            return page
        left = tuple(record for record in page.records if record.id != self._record_id)
        return msgspec.structs.replace(page, records=left)


class AnySourceContract:
    """What any source does, however it pages.

    The fixture `transform` is what makes contacts of its records.
    """

    def first(self, source: Source, order: Order, limit: int) -> Page:
        return fetch(source, 0, limit, order)

    def whole(self, source: Source, order: Order) -> tuple[Record, ...]:
        """Return all 30 records."""
        return self.first(source, order, 100).records

    def test_a_check_tells_what_it_saw(self, source: Source) -> None:
        found = asyncio.run(source.check())
        assert not isinstance(found, Failure)
        assert found

    @pytest.mark.parametrize("order", ORDERS)
    def test_records_come_in_the_order_asked_for(self, source: Source, order: Order) -> None:
        if order not in source.orders:
            pytest.skip(f"it does not have the order {order}")
        keys = [record.key for record in self.whole(source, order)]
        assert len(keys) == 30
        assert keys == sorted(keys, reverse=order == "newest")

    def test_every_record_has_an_id_of_its_own_and_its_bytes(self, source: Source) -> None:
        records = self.whole(source, self.order_of(source))
        assert len({record.id for record in records}) == 30
        assert all(record.raw.startswith(b"{") and not record.problem for record in records)

    def test_records_asked_for_by_id_come_and_no_others(self, source: Source) -> None:
        records = {record.id: record.raw for record in self.whole(source, self.order_of(source))}
        wanted = sorted(records)[3:25:4]
        page = fetch_listed(source, *reversed(wanted))
        assert len(page.records) == len(wanted)
        assert {record.id: record.raw for record in page.records} == {id_: records[id_] for id_ in wanted}

    def test_of_records_asked_for_by_id_one_that_is_not_there_does_not_come(self, source: Source) -> None:
        first = self.whole(source, self.order_of(source))[0].id
        gone = "00000000-0000-4000-8000-000000000000"
        assert [record.id for record in fetch_listed(source, gone, first).records] == [first]
        assert fetch_listed(source, gone).records == ()

    def test_a_page_is_as_of_a_moment_with_a_time_zone(self, source: Source) -> None:
        assert self.first(source, self.order_of(source), 1).as_of.tzinfo is not None

    def test_its_name_begins_with_its_kind(self, source: Source) -> None:
        assert source.kind == source.name.partition(":")[0]

    def test_who_is_gone_is_deleted_from_a_sink(self, source: Source, transform: Transform[Contact]) -> None:
        sink = SqliteSink(":memory:")
        gone = self.whole(source, self.order_of(source))[7].id

        async def sync(source: Source) -> Process:
            return await Engine(log, source, sink, transform).sync(page_size=40, deletes_missing=True)

        async def sync_twice() -> tuple[Process, Process, object]:
            first, second = await sync(source), await sync(cast("Source", Without(source, gone)))
            return first, second, await sink.known(source.kind)

        with open_log(":memory:") as log:
            first, second, known = asyncio.run(sync_twice())
        assert (first.progress.created, first.progress.missing) == (30, 0)
        assert (second.progress.unchanged, second.progress.missing) == (29, 1)
        assert isinstance(known, frozenset)
        assert len(known) == 29
        assert gone not in known

    def test_after_a_page_that_was_given_up_others_come(self, source: Source) -> None:
        request = PageRequest(cursor=None, offset=0, limit=10, order=self.order_of(source))

        async def give_up() -> Page | Failure:
            unwanted = asyncio.create_task(source.fetch(request))
            await asyncio.sleep(0)
            unwanted.cancel()
            await asyncio.gather(unwanted, return_exceptions=True)
            return await source.fetch(request)

        assert isinstance(asyncio.run(give_up()), Page)

    def test_two_pages_can_be_asked_for_at_once(self, source: Source) -> None:
        async def both() -> list[Page | Failure]:
            request = PageRequest(cursor=None, offset=0, limit=10, order=self.order_of(source))
            return await asyncio.gather(source.fetch(request), source.fetch(request))

        one, two = asyncio.run(both())
        assert isinstance(one, Page)
        assert isinstance(two, Page)
        assert one.records == two.records

    def test_closing_twice_is_harmless(self, source: Source) -> None:
        async def close_twice() -> None:
            await source.aclose()
            await source.aclose()

        asyncio.run(close_twice())

    def order_of(self, source: Source) -> Order:
        """Return the order that a source prefers."""
        return source.orders[0]


class SourceContract(AnySourceContract):
    """Subclass it with a fixture `source` (of 30 records) that pages by offset."""

    def test_it_says_that_it_pages_by_offset(self, source: Source) -> None:
        assert source.options.pagination == "offset"

    @pytest.mark.parametrize("order", ORDERS)
    def test_pages_are_slices_of_the_whole(self, source: Source, order: Order) -> None:
        whole = fetch(source, 0, 100, order).records
        assert fetch(source, 7, 11, order).records == whole[7:18]
        assert fetch(source, 25, 11, order).records == whole[25:]

    def test_past_the_end_there_is_nothing(self, source: Source) -> None:
        assert fetch(source, 1000, 10).records == ()


class NumberedContract(AnySourceContract):
    """Subclass it with a fixture `source` (of 30 records) whose pages have numbers and any size to 100."""

    def test_it_says_that_its_pages_have_numbers(self, source: Source) -> None:
        assert source.options.pagination == "page"

    @pytest.mark.parametrize("size", [1, 7, 10, 29, 30, 31])
    def test_pages_of_any_size_are_slices_of_the_whole(self, source: Source, size: int) -> None:
        order = self.order_of(source)
        whole = self.whole(source, order)
        for offset in range(0, 31, size):
            assert fetch(source, offset, size, order).records == whole[offset : offset + size]

    def test_every_page_says_how_many_records_there_are(self, source: Source) -> None:
        assert fetch(source, 20, 10, self.order_of(source)).total == 30
        assert fetch(source, 100, 10, self.order_of(source)).total == 30

    def test_past_the_end_there_is_nothing(self, source: Source) -> None:
        assert fetch(source, 1000, 10, self.order_of(source)).records == ()


class CursorContract(AnySourceContract):
    """Subclass it with a fixture `source` (of 30 records) whose pages name the next one.

    A second fixture, `broken_token`, is a cursor that leads nowhere: "nowhere" unless you say otherwise.
    """

    @pytest.fixture
    def broken_token(self) -> str:
        return "nowhere"

    def first(self, source: Source, order: Order, limit: int) -> Page:
        return fetch_after(source, None, limit, order)

    def whole(self, source: Source, order: Order, limit: int = 100) -> tuple[Record, ...]:
        return tuple(record for page in self.pages(source, order, limit) for record in page.records)

    def pages(self, source: Source, order: Order, limit: int) -> list[Page]:
        pages = [fetch_after(source, None, limit, order)]
        while pages[-1].next_token is not None:
            assert len(pages) < 100
            pages.append(fetch_after(source, pages[-1].next_token, limit, order))
        return pages

    def test_it_says_that_its_pages_name_the_next_one(self, source: Source) -> None:
        assert source.options.pagination == "cursor"

    @pytest.mark.parametrize("limit", [1, 7, 10, 29, 30, 31])
    def test_following_the_cursors_brings_the_whole_however_large_the_pages(
        self, source: Source, limit: int
    ) -> None:
        order = self.order_of(source)
        assert self.whole(source, order, limit) == self.whole(source, order)
        assert all(len(page.records) <= limit for page in self.pages(source, order, limit))

    def test_a_cursor_leads_to_the_same_page_each_time(self, source: Source) -> None:
        token = self.first(source, self.order_of(source), 7).next_token
        assert token is not None
        order = self.order_of(source)
        assert fetch_after(source, token, 7, order).records == fetch_after(source, token, 7, order).records

    def test_a_cursor_that_leads_nowhere_is_a_failure_and_no_end(
        self, source: Source, broken_token: str
    ) -> None:
        order = self.order_of(source)
        request = PageRequest(cursor=None, offset=0, limit=7, order=order, token=broken_token)
        assert isinstance(asyncio.run(source.fetch(request)), Failure)
