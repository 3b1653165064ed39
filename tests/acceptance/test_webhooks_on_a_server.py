"""Two receivers of webhooks on one log in PostgreSQL: what either is told is kept, and seen to once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from syncfsm.core import events as e
from syncfsm.log import EventLog, open_log
from tests.acceptance.command import Cli, Started, contacts_in
from tests.acceptance.server import Server
from tests.webhooks import SECRET, body_of, signed

NOTICES = 40


class Receiver:
    """`syncfsm webhooks` as a user starts it, of which there may be more than one."""

    def __init__(self, cli: Cli, server: Server, log_url: str) -> None:
        cli.env["ATTIO_WEBHOOK_SECRET"] = SECRET
        where = ("--source", "attio", "--base-url", server.url, "--sink", "sqlite:contacts.db")
        more = ("--log", log_url, "--port", "0", "--settle", "0", "--json")
        self.process: Started = cli.start("webhooks", *where, *more)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.object_id = server.world.object_ids["people"]

    def told(self, client: httpx.Client, record_id: str, key: str) -> int:
        ids = {"workspace_id": "w", "object_id": self.object_id, "record_id": record_id}
        body = body_of({"event_type": "record.updated", "id": ids, "actor": {}})
        return client.post(self.url, content=body, headers=signed(body, key)).status_code

    def stop(self) -> str:
        self.process.terminate()
        _, err = self.process.communicate(timeout=60)
        assert "Traceback" not in err
        return err


def wait_until_none_waits(log: EventLog, source: str) -> None:
    for _ in range(600):
        waiting = log.waiting(source, "people")
        if not waiting.record_ids and log.active(source, "people") is None:
            return
        time.sleep(0.1)
    pytest.fail("notices are left in the inbox")


def asked_for(log: EventLog) -> Counter[str]:
    """Return how often each record was fetched by a process that was completed."""
    fetched: Counter[str] = Counter()
    for process_id in log.ids():
        for recorded in log.read(process_id):
            if isinstance(recorded.event, e.PageFetched):
                fetched.update(recorded.event.record_ids)
    return fetched


def test_two_receivers_on_one_log_lose_no_notice_and_see_to_none_twice(
    cli: Cli, serve: Callable[..., Server], newest_postgres_url: str
) -> None:
    server = serve(NOTICES)
    people = sorted(server.world.entities("people"))
    receivers = [Receiver(cli, server, newest_postgres_url) for _ in range(2)]
    with httpx.Client() as client:
        for number, record_id in enumerate(people):
            for receiver in (receivers[number % 2], receivers[1 - number % 2]):  # a proxy sends it once more
                assert receiver.told(client, record_id, f"k{number}") == 200
    source = f"attio:{server.url}"
    with open_log(newest_postgres_url, read_only=True) as log:
        wait_until_none_waits(log, source)
        assert asked_for(log) == Counter(people)
    told = [receiver.stop() for receiver in receivers]
    assert {record_id for (record_id,) in contacts_in(cli.folder / "contacts.db", "external_id")} == {*people}
    assert all("20 replayed, 20 stored" in words for words in told)
    assert json.loads(cli("log", "verify", newest_postgres_url, "--json")[0])["findings"] == []
