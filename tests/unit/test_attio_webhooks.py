"""The fake Attio's webhooks: who is told of what, signed how, and how often when nobody takes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.fakes.attio.deliveries import RETRIES_MAX
from syncfsm_simulator.fakes.attio.webhooks import EVENT_TYPES, LATER_EVENT_TYPES
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from syncfsm_simulator.world.world import World

PEOPLE = "/v2/objects/people/records"


class Desk:
    """A fake in virtual time, and the target that its webhooks are sent to.

    Attributes:
        taken: Every request that came to the target, with the moment when it came.
        statuses: What the target answers, one after the other; then 200.
    """

    def __init__(self, people: int = 3, **settings: Any) -> None:
        self.taken: list[tuple[datetime, httpx.Request]] = []
        self.statuses: list[int | None] = []
        self.clock = VirtualClock()
        self.world = World(1, people=people, companies=2, now=EPOCH)
        target = httpx.MockTransport(self._take)
        self.fake = FakeAttio(self.world, self.clock, transport=target, **settings)
        self.api = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.fake),
            base_url="http://fake.test",
            headers={"Authorization": "Bearer any"},
        )

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.taken.append((self.clock.now(), request))
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise httpx.ConnectError("nobody is there", request=request)
        return httpx.Response(status)

    async def subscribe(
        self, *event_types: str, filter_: Any = None, url: str = "https://hooks.example/"
    ) -> Any:
        subscriptions = [{"event_type": name, "filter": filter_} for name in event_types]
        body = {"data": {"target_url": url, "subscriptions": subscriptions}}
        answer = await self.api.post("/v2/webhooks", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def status(self, webhook: Any) -> Any:
        answer = await self.api.get(f"/v2/webhooks/{webhook['id']['webhook_id']}")
        return answer.json()["data"]["status"]

    @property
    def events(self) -> list[Any]:
        return [event for _, request in self.taken for event in json.loads(request.content)["events"]]


def virtually(desk: Desk, main: Callable[[], Awaitable[None]]) -> None:
    """Run a story on the desk, until everything has been sent."""

    async def story() -> None:
        await main()
        await desk.fake.deliveries.settled()

    run_virtual(story())


def types(events: Iterable[Any]) -> list[str]:
    return [event["event_type"] for event in events]


ALL = ("record.created", "record.updated", "record.deleted", "record.merged")


def test_writes_through_the_api_are_told_with_the_token_as_actor() -> None:
    desk = Desk()

    async def story() -> None:
        await desk.subscribe(*ALL)
        values = {"name": "Lovelace, Ada", "job_title": "CEO"}
        made = (await desk.api.post(PEOPLE, json={"data": {"values": values}})).json()["data"]
        path = f"{PEOPLE}/{made['id']['record_id']}"
        await desk.api.patch(path, json={"data": {"values": {"name": "Ada", "job_title": "CEO"}}})
        await desk.api.put(path, json={"data": {"values": {"job_title": "CTO", "linkedin": "x"}}})
        await desk.api.delete(path)

    virtually(desk, story)
    updated = ["record.updated"] * 3
    assert types(desk.events) == ["record.created", *updated, "record.deleted"]
    assert [event["actor"] for event in desk.events] == [desk.fake.actor] * 5
    attributes = [event["id"].get("attribute_id") for event in desk.events]
    wanted = [
        desk.world.ids.of_attribute("people", slug)["attribute_id"]
        for slug in ("name", "job_title", "linkedin")
    ]
    assert attributes == [None, *wanted, None], "one for each attribute that has changed, and no other"


def test_what_the_simulator_does_to_people_is_told_as_well() -> None:
    desk = Desk()
    record_id = min(desk.world.entities("people"))

    async def story() -> None:
        await desk.subscribe(*ALL)
        created = desk.world.create_person(desk.clock.now())
        desk.world.update_person(record_id, desk.clock.now())
        desk.world.delete_person(created)

    virtually(desk, story)
    assert types(desk.events) == ["record.created", "record.updated", "record.deleted"]
    assert desk.events[1]["id"]["record_id"] == record_id
    assert desk.events[0]["actor"] == {"type": "workspace-member", "id": desk.world.member_id}


def test_a_merge_is_told_twice_with_the_new_id_and_each_of_the_old_ones() -> None:
    desk = Desk()
    ids = sorted(desk.world.entities("people"))[:2]

    async def story() -> None:
        await desk.subscribe(*ALL)
        which = dict(zip(("primary_record_id", "secondary_record_id"), ids, strict=True))
        await desk.api.post(f"{PEOPLE}/merge", json={"data": which})

    virtually(desk, story)
    assert types(desk.events) == ["record.merged"] * 2
    assert [event["duplicate_record_id"] for event in desk.events] == ids
    assert len({event["id"]["record_id"] for event in desk.events} | set(ids)) == 3


def test_a_delivery_is_one_event_signed_over_its_body() -> None:
    desk = Desk()
    secrets: list[Any] = []

    async def story() -> None:
        secrets.append(await desk.subscribe("record.created"))
        desk.world.create_person(desk.clock.now())

    virtually(desk, story)
    ((_, request),) = desk.taken
    (webhook,) = secrets
    body = json.loads(request.content)
    assert body == {"webhook_id": webhook["id"]["webhook_id"], "events": desk.events}
    assert set(desk.events[0]) == {"event_type", "id", "actor"}
    wanted = hmac.new(webhook["secret"].encode(), request.content, hashlib.sha256).hexdigest()
    assert request.headers["Attio-Signature"] == request.headers["X-Attio-Signature"] == wanted
    assert request.headers["Idempotency-Key"]


@pytest.mark.parametrize("refusal", [500, 404, 201, 301, None])
def test_what_is_not_taken_comes_again_with_the_same_key(refusal: int | None) -> None:
    desk = Desk()
    desk.statuses = [refusal, refusal, 202]

    async def story() -> None:
        await desk.subscribe("record.created")
        desk.world.create_person(desk.clock.now())
        desk.world.create_person(desk.clock.now())

    virtually(desk, story)
    keys = [request.headers["Idempotency-Key"] for _, request in desk.taken]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    bodies = {request.headers["Idempotency-Key"]: request.content for _, request in desk.taken}
    assert all(bodies[request.headers["Idempotency-Key"]] == request.content for _, request in desk.taken)


def test_after_ten_retries_in_three_days_attio_gives_up_and_the_webhook_is_degraded() -> None:
    desk = Desk()
    desk.statuses = [500] * (RETRIES_MAX + 1)

    async def story() -> None:
        webhook = await desk.subscribe("record.created")
        desk.world.create_person(desk.clock.now())
        await desk.fake.deliveries.settled()
        assert await desk.status(webhook) == "degraded"
        desk.world.create_person(desk.clock.now())
        await desk.fake.deliveries.settled()
        assert await desk.status(webhook) == "active", "it takes again"

    virtually(desk, story)
    moments = [moment for moment, _ in desk.taken][:-1]
    waits = [later - earlier for earlier, later in pairwise(moments)]
    assert len(waits) == RETRIES_MAX == 10
    assert sum(waits, timedelta()) == pytest.approx(timedelta(days=3), abs=timedelta(minutes=1))
    for shorter, longer in pairwise(waits):
        assert longer / shorter == pytest.approx(2, rel=0.01)
    assert desk.fake.deliveries.counts == {"refused": 11, "given up": 1, "taken": 1}


def test_a_webhook_degraded_for_a_week_is_told_of_nothing_any_more() -> None:
    desk = Desk()
    desk.statuses = [500] * 100

    async def story() -> None:
        webhook = await desk.subscribe("record.created")
        desk.world.create_person(desk.clock.now())
        await desk.fake.deliveries.settled()
        await desk.clock.sleep(7 * 24 * 3600)
        desk.world.create_person(desk.clock.now())
        assert await desk.status(webhook) == "inactive"

    virtually(desk, story)
    assert len(desk.taken) == RETRIES_MAX + 1


def test_a_target_gets_twenty_five_a_second_and_another_its_own_twenty_five() -> None:
    desk = Desk()

    async def story() -> None:
        await desk.subscribe("record.created")
        await desk.subscribe("record.created", url="https://other.example/")
        for _ in range(100):
            desk.world.create_person(desk.clock.now())

    virtually(desk, story)
    for host in ("hooks.example", "other.example"):
        moments = [moment - EPOCH for moment, request in desk.taken if request.url.host == host]
        assert len(moments) == 100
        assert moments[-1] == pytest.approx(timedelta(seconds=99 / 25), abs=timedelta(milliseconds=10))
        for start in range(75):
            assert moments[start + 25] - moments[start] >= timedelta(seconds=0.999)


def test_webhooks_may_overtake_each_other_and_come_twice() -> None:
    desk = Desk(webhook_delay_s=5, webhook_duplicates=0.5)
    created: list[str] = []

    async def story() -> None:
        await desk.subscribe("record.created")
        created.extend(desk.world.create_person(desk.clock.now()) for _ in range(40))

    virtually(desk, story)
    came = [event["id"]["record_id"] for event in desk.events]
    assert set(came) == set(created)
    assert list(dict.fromkeys(came)) != created
    assert 45 < len(came) < 75
    keys = [request.headers["Idempotency-Key"] for _, request in desk.taken]
    assert len(set(keys)) == 40


@pytest.mark.parametrize(
    ("filter_", "told"),
    [
        (None, 2),
        ({"$and": [{"field": "id.object_id", "operator": "equals", "value": "@people"}]}, 1),
        ({"$and": [{"field": "id.object_id", "operator": "not_equals", "value": "@people"}]}, 1),
        ({"$or": [{"field": "id.object_id", "operator": "equals", "value": "@people"},
                  {"field": "actor.type", "operator": "equals", "value": "api-token"}]}, 2),
        ({"$and": [{"field": "id.object_id", "operator": "equals", "value": "@people"},
                   {"field": "actor.type", "operator": "equals", "value": "system"}]}, 0),
        ({"$or": []}, 0),
    ],
)  # fmt: skip
def test_a_filter_says_which_events_are_wanted(filter_: Any, told: int) -> None:
    desk = Desk()
    wanted = json.loads(json.dumps(filter_).replace("@people", desk.world.object_ids["people"]))

    async def story() -> None:
        await desk.subscribe("record.created", filter_=wanted)
        for slug in ("people", "companies"):
            await desk.api.post(f"/v2/objects/{slug}/records", json={"data": {"values": {}}})

    virtually(desk, story)
    assert len(desk.events) == told


def test_a_webhook_that_is_deleted_gets_nothing_more_not_even_what_was_under_way() -> None:
    desk = Desk()
    desk.statuses = [500]

    async def story() -> None:
        webhook = await desk.subscribe("record.created")
        desk.world.create_person(desk.clock.now())
        await desk.clock.sleep(1)
        assert (await desk.api.delete(f"/v2/webhooks/{webhook['id']['webhook_id']}")).json() == {}
        desk.world.create_person(desk.clock.now())

    virtually(desk, story)
    assert len(desk.taken) == 1
    assert desk.fake.deliveries.counts["withdrawn"] == 1


def test_the_secret_is_told_once_and_a_change_moves_the_target() -> None:
    desk = Desk()

    async def story() -> None:
        webhook = await desk.subscribe("record.created")
        path = f"/v2/webhooks/{webhook['id']['webhook_id']}"
        assert len(webhook["secret"]) == 64
        changed = (await desk.api.patch(path, json={"data": {"target_url": "https://new.example/"}})).json()[
            "data"
        ]
        assert changed["subscriptions"] == webhook["subscriptions"]
        for told in (changed, (await desk.api.get(path)).json()["data"]):
            assert "secret" not in told
        (listed,) = (await desk.api.get("/v2/webhooks")).json()["data"]
        assert listed == changed
        desk.world.create_person(desk.clock.now())

    virtually(desk, story)
    assert [request.url.host for _, request in desk.taken] == ["new.example"]


def test_a_url_is_not_told_of_the_same_by_two_webhooks() -> None:
    desk = Desk()
    only = {"$and": [{"field": "id.object_id", "operator": "equals", "value": "x"}]}

    async def refused(method: str, path: str, **data: Any) -> None:
        answer = await desk.api.request(method, path, json={"data": data})
        assert (answer.status_code, answer.json()["code"]) == (409, "uniqueness_conflict")

    async def story() -> None:
        await desk.subscribe("record.created", "record.updated")
        other = await desk.subscribe("record.created", filter_=only)
        await desk.subscribe("record.created", url="https://other.example/")
        twice = [{"event_type": "record.updated", "filter": None}]
        await refused("POST", "/v2/webhooks", target_url="https://hooks.example/", subscriptions=twice)
        path = f"/v2/webhooks/{other['id']['webhook_id']}"
        await refused("PATCH", path, subscriptions=twice)
        again = {"data": {"subscriptions": [{"event_type": "record.created", "filter": only}]}}
        assert (await desk.api.patch(path, json=again)).status_code == 200

    virtually(desk, story)


def test_activities_may_be_subscribed_to() -> None:
    desk = Desk()
    assert len(EVENT_TYPES) == 27 + len(LATER_EVENT_TYPES) == 34

    async def story() -> None:
        await desk.subscribe(*sorted(LATER_EVENT_TYPES))

    virtually(desk, story)


def test_a_users_token_has_no_webhooks() -> None:
    desk = Desk(token_level="user")

    async def story() -> None:
        assert (await desk.api.get("/v2/self")).json()["token_level"] == "user"
        assert (await desk.api.get("/v2/webhooks")).status_code == 403
        assert (await desk.api.get("/v2/objects")).status_code == 200

    virtually(desk, story)


def test_a_write_of_a_whole_history_is_told_to_nobody_and_a_query_has_it() -> None:
    desk = Desk()

    async def story() -> None:
        await desk.subscribe("record.updated")
        record_id = next(iter(desk.world.entities("people")))
        desk.world.write("people", record_id, {"job_title": []}, desk.clock.now(), is_told=False)
        desk.world.write("people", record_id, {"phone_numbers": []}, desk.clock.now())
        found = await desk.api.get(f"/v2/objects/people/records/{record_id}")
        assert found.json()["data"]["values"]["job_title"] == []

    virtually(desk, story)
    assert len(desk.events) == 1


@pytest.mark.parametrize(
    "data",
    [
        {"subscriptions": []},
        {"target_url": "https://x.example"},
        {"target_url": "http://x.example", "subscriptions": []},
        {"target_url": "https://", "subscriptions": []},
        {"target_url": "https://[", "subscriptions": []},
        {"target_url": "https://x.example", "subscriptions": [{"event_type": "record.created"}]},
        *(
            {"target_url": "https://x.example", "subscriptions": [{"event_type": type_, "filter": filter_}]}
            for type_, filter_ in (
                ("record.moved", None),
                ("record.created", {}),
                ("record.created", {"$or": [{}]}),
            )
        ),
    ],
)
def test_a_webhook_that_makes_no_sense_is_a_400(data: Any) -> None:
    desk = Desk()

    async def story() -> None:
        answer = await desk.api.post("/v2/webhooks", json={"data": data})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_type")

    virtually(desk, story)


@pytest.mark.parametrize(
    ("url", "status"),
    [("http://127.0.0.1:9/", 200), ("http://localhost:9/", 200), ("http://hooks.example/", 400)],
)
def test_plain_http_is_for_this_machine_only_and_only_if_allowed(url: str, status: int) -> None:
    for allowed in (True, False):
        desk = Desk(http_targets=allowed)
        body = {"data": {"target_url": url, "subscriptions": []}}

        async def story(desk: Desk = desk, body: Any = body, allowed: bool = allowed) -> None:
            answer = await desk.api.post("/v2/webhooks", json=body)
            assert answer.status_code == (status if allowed else 400)

        virtually(desk, story)


def test_without_an_event_loop_messages_wait_for_the_next_request() -> None:
    desk = Desk()
    run_virtual(desk.subscribe("record.created"))
    desk.world.create_person(EPOCH)
    assert not desk.taken

    async def story() -> None:
        await desk.api.get("/v2/self")

    virtually(desk, story)
    assert types(desk.events) == ["record.created"]


def test_a_token_without_the_scope_may_not_touch_webhooks() -> None:
    desk = Desk(scopes=["webhook:read"])

    async def story() -> None:
        assert (await desk.api.get("/v2/webhooks")).status_code == 200
        answer = await desk.api.post("/v2/webhooks", json={})
        assert answer.status_code == 403
        assert "webhook:read-write" in answer.json()["message"]

    virtually(desk, story)
