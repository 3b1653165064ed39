"""Webhooks that tell of what cannot be read yet, in virtual time: merges, an index that lags behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from syncfsm.core.failure import Failure
from syncfsm.core.paging.pages import PageRequest
from syncfsm.engine.engine import Engine
from syncfsm.items.contact import Contact
from syncfsm.log import open_log
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Page
from syncfsm.webhooks import WebhookReceiver, WebhookWorker
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

BASE_URL = "http://attio.test"
PEOPLE = "/v2/objects/people/records"


class Workspace:
    """A fake Attio, what is told of it by webhooks, and who sees to that."""

    def __init__(self, log: Any, people: int = 20, **knobs: Any) -> None:
        self.log = log
        self.clock = VirtualClock()
        self.world = World(1, people=people, companies=2, now=EPOCH)
        self.target: Any = None
        self.fake = FakeAttio(
            self.world, self.clock, transport=httpx.ASGITransport(self._receive), http_targets=True, **knobs
        )
        self.sink = SqliteSink(":memory:", clock=self.clock)
        self.api = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.fake), base_url=BASE_URL, headers={"Authorization": "Bearer k"}
        )

    async def _receive(self, scope: Any, receive: Any, send: Any) -> None:
        await self.target(scope, receive, send)

    def source(self) -> AttioSource:
        return AttioSource("k", base_url=BASE_URL, clock=self.clock, transport=httpx.ASGITransport(self.fake))

    def engine(self) -> Engine[Contact]:
        source = self.source()
        kept = _Kept(self.sink)
        return Engine(self.log, source, kept, AttioPeople(source), clock=self.clock)

    async def listen(self) -> None:
        """Bring everybody, and let webhooks tell from then on."""
        await self.engine().sync()
        types = ("created", "updated", "deleted", "merged")
        subscriptions = [{"event_type": f"record.{name}", "filter": None} for name in types]
        body = {"data": {"target_url": "http://127.0.0.1/", "subscriptions": subscriptions}}
        made = (await self.api.post("/v2/webhooks", json=body)).json()["data"]
        source = self.source()
        self.target = WebhookReceiver(
            self.log, made["secret"], source=source.name, object_id=self.world.object_ids["people"],
            clock=self.clock,
        )  # fmt: skip

    async def work(self, seconds: float) -> None:
        worker = WebhookWorker(self.engine, clock=self.clock)
        task = asyncio.create_task(worker.run())
        await self.clock.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    @property
    def contacts(self) -> dict[str, str | None]:
        sql = "SELECT external_id, role FROM contacts WHERE deleted_at IS NULL"
        return dict(self.sink.connection().execute(sql).fetchall())

    async def merge(self, one: str, other: str) -> str:
        body = {"data": {"primary_record_id": one, "secondary_record_id": other}}
        answer = await self.api.post(f"{PEOPLE}/merge", json=body)
        return str(answer.json()["data"]["new_record_id"])


class _Kept(SqliteSink):
    """The same contacts for each engine, which closes what it was given."""

    def __init__(self, sink: SqliteSink) -> None:
        self.__dict__ = sink.__dict__

    async def aclose(self) -> None:
        """Stay open."""


def played(scene: Callable[[Workspace], Awaitable[None]], **knobs: Any) -> None:
    with open_log(":memory:") as log:
        workspace = Workspace(log, **knobs)
        run_virtual(scene(workspace))


@pytest.mark.parametrize("merge_s", [0.0, 5.0, 30.0])
def test_a_merge_brings_the_new_record_and_then_takes_away_the_two(merge_s: float) -> None:
    async def scene(workspace: Workspace) -> None:
        await workspace.listen()
        one, other = list(workspace.world.entities("people"))[:2]
        new = await workspace.merge(one, other)
        await workspace.work(min(4.0, merge_s))
        assert {one, other} <= workspace.contacts.keys() or new in workspace.contacts
        await workspace.work(180)
        assert workspace.contacts.keys() == workspace.world.entities("people").keys()
        assert new in workspace.contacts

    played(scene, merge_s=merge_s)


@pytest.mark.parametrize("index_lag_s", [5.0, 60.0])
def test_while_the_index_is_behind_nobody_is_deleted_and_changes_come(index_lag_s: float) -> None:
    async def scene(workspace: Workspace) -> None:
        await workspace.listen()
        everybody = list(workspace.world.entities("people"))
        for record_id in everybody[:15]:
            workspace.world.write(
                "people", record_id, {"job_title": [workspace.world._value(EPOCH, "text", "Changed")]}, EPOCH
            )
        workspace.world.delete_person(everybody[-1])
        await workspace.work(180)
        assert workspace.contacts.keys() == workspace.world.entities("people").keys()
        assert list(workspace.contacts.values()).count("Changed") == 15

    played(scene, index_lag_s=index_lag_s)


def test_few_records_that_a_query_leaves_out_are_each_asked_for_by_itself() -> None:
    async def scene(workspace: Workspace) -> None:
        lagging, merged, other = list(workspace.world.entities("people"))[:3]
        workspace.world.update_person(lagging, workspace.clock.now())
        new = await workspace.merge(merged, other)
        gone = "00000000-0000-4000-8000-000000000000"
        source = workspace.source()
        request = PageRequest(
            cursor=None, offset=0, limit=4, order="id", record_ids=(lagging, new, merged, gone), singly_max=4
        )
        page = await source.fetch(request)
        assert isinstance(page, Page)
        assert [record.id for record in page.records] == [lagging]
        assert page.not_found == (merged, gone)

    played(scene, index_lag_s=60.0, merge_s=60.0)


def test_a_404_that_does_not_say_so_itself_is_no_statement_about_a_record() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": []}) if request.method == "POST" else httpx.Response(404)

    async def main() -> Page | Failure:
        source = AttioSource("k", transport=httpx.MockTransport(answer))
        request = PageRequest(cursor=None, offset=0, limit=1, order="id", record_ids=("a",), singly_max=1)
        try:
            return await source.fetch(request)
        finally:
            await source.aclose()

    page = asyncio.run(main())
    assert isinstance(page, Failure)
    assert page.status == 404


def test_a_part_of_an_answer_is_not_taken_for_all_of_it() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(206, json={"data": []})

    async def main() -> Page | Failure:
        source = AttioSource("k", transport=httpx.MockTransport(answer))
        return await source.fetch(PageRequest(cursor=None, offset=0, limit=1, order="id"))

    page = asyncio.run(main())
    assert isinstance(page, Failure)
    assert (page.is_retryable, page.status) == (True, 206)
    assert "answered 206, a part of what was asked for" in page.message
