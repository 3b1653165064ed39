"""Attio people into Quo for good, as its first users do it: real processes, real HTTP, real webhooks.

`syncfsm serve` is both sides. What happens in Attio is done by its API, and what Quo then has is read by
Quo's; the same people in a JSONL file say what it should be.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Cli

PEOPLE = "/v2/objects/people/records"
PAGE = Path(__file__).parents[2] / "docs" / "quo.md"
(WEBHOOK,) = re.findall(r"/v2/webhooks .* --json '(.*)'$", PAGE.read_text(), re.MULTILINE)
"""What the page tells Attio to tell us of."""


class Sides:
    """Both APIs at one URL, and the command line before them."""

    def __init__(self, cli: Cli, url: str) -> None:
        self.cli = cli
        self.url = url
        self.client = httpx.Client(base_url=url, headers={"Authorization": "Bearer any"})

    def attio(self, method: str, path: str, data: Any = None) -> Any:
        """Ask Attio; return the data of the answer."""
        answer = self.client.request(method, path, json=None if data is None else {"data": data})
        assert answer.is_success, answer.text
        return answer.json().get("data")

    def create(self, name: str, email: str) -> str:
        values = {"name": name, "email_addresses": [email], "phone_numbers": ["+14155550132"]}
        record_id: str = self.attio("POST", PEOPLE, {"values": values})["id"]["record_id"]
        return record_id

    def quo(self) -> dict[str, tuple[Any, ...]]:
        """Return what Quo has of each person, by the record id; nobody twice."""
        found: list[Any] = []
        page: dict[str, Any] = {"nextPageToken": ""}
        while page["nextPageToken"] is not None:
            asked = {"maxResults": "50"} | (
                {"pageToken": page["nextPageToken"]} if page["nextPageToken"] else {}
            )
            answer = self.client.get("/v1/contacts", params=asked)
            if answer.status_code != 429:  # the sync before has had this second's requests
                page = answer.json()
                found += page["data"]
        there = {one["externalId"]: _of_quo(one["defaultFields"]) for one in found}
        assert len(there) == len(found), "somebody is there twice"
        return there

    def args(self, command: str, sink: str = "", log: str = "quo.db") -> tuple[str, ...]:
        sinks = ("--sink", sink) if sink else ("--sink", f"quo:{self.url}", "--quo-bulk")
        return (command, "--source", "attio", "--base-url", self.url, *sinks, "--log", log)

    def sync(self, *more: str) -> dict[str, Any]:
        done = self.cli.json(*self.args("sync"), *more)
        assert (done["state"], done["rejected"], done["left_out"]) == ("COMPLETED", 0, {})
        return done

    def should_be(self) -> dict[str, tuple[Any, ...]]:
        """Return what a sink should have now, by way of another one."""
        path = self.cli.folder / "people.jsonl"
        path.unlink(missing_ok=True)
        self.cli(*self.args("sync", f"jsonl:{path.name}", "people.db"), "--fresh")
        return {one["external_id"]: _of_file(one) for one in _lines(path)}


def _of_quo(fields: dict[str, Any]) -> tuple[Any, ...]:
    names = (fields["firstName"], fields["lastName"], fields["company"], fields["role"])
    return (*names, *(tuple(item["value"] for item in fields[key]) for key in ("emails", "phoneNumbers")))


def _of_file(one: dict[str, Any]) -> tuple[Any, ...]:
    names = (one["first_name"], one["last_name"], one["company"], one["role"])
    return (*names, tuple(one["emails"]), tuple(one["phone_numbers"]))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, path.read_text().splitlines())


@pytest.fixture
def sides(cli: Cli) -> Iterator[Sides]:
    process = cli.start("serve", "--port", 0, "--people", 60)
    assert process.stdout is not None
    cli.env |= {"QUO_API_KEY": "any-quo-key", "QUO_PARTNER_KEY": "any-partner-key"}
    sides = Sides(cli, process.stdout.readline().strip())
    with sides.client:
        yield sides
    process.terminate()
    process.communicate(timeout=30)


def test_who_comes_changes_and_goes_in_attio_does_so_in_quo(sides: Sides) -> None:
    assert sides.cli.json(*sides.args("check"))["page_size"] == 499
    assert sides.sync()["created"] == 60
    first = sides.quo()
    assert first == sides.should_be()

    ada = sides.create("Lovelace, Ada", "ada@bakery.example")
    ongoing = sides.sync("--mode", "ongoing")
    assert (ongoing["mode"], ongoing["fetched"], ongoing["created"]) == ("ongoing", 1, 1)
    assert sides.quo().keys() == {*first, ada}

    changed, *gone = sorted(first)[:3]
    for record_id in gone:
        sides.attio("DELETE", f"{PEOPLE}/{record_id}")
    sides.attio("PATCH", f"{PEOPLE}/{changed}", {"values": {"job_title": "Countess"}})
    assert sides.sync()["missing"] == 0
    assert sides.quo().keys() == {*first, ada}
    assert sides.sync("--delete-missing")["missing"] == 2
    assert sides.quo() == sides.should_be()
    assert sides.quo().keys() == {*first, ada} - {*gone}
    assert sides.cli.json("log", "verify", "quo.db")["findings"] == []


class Listener:
    """`syncfsm webhooks` into Quo, with a webhook in Attio that tells it of every change."""

    def __init__(self, sides: Sides) -> None:
        webhook = sides.attio("POST", "/v2/webhooks", json.loads(WEBHOOK)["data"])
        sides.cli.env["ATTIO_WEBHOOK_SECRET"] = webhook["secret"]
        self.process = sides.cli.start(*sides.args("webhooks"), "--port", 0, "--settle", 0.5, "--json")
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        sides.attio("PATCH", f"/v2/webhooks/{webhook['id']['webhook_id']}", {"target_url": url})

    def until(self, **counts: int) -> None:
        """Return when the syncs that are over have come to so many of each; none may reject anybody."""
        assert self.process.stdout is not None
        while any(count > 0 for count in counts.values()):
            over = json.loads(self.process.stdout.readline())
            assert (over["mode"], over["state"], over["rejected"]) == ("webhook", "COMPLETED", 0)
            counts = {what: count - over[what] for what, count in counts.items()}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=60)
        assert (self.process.returncode, "Traceback" in err) == (130, False)


def test_webhooks_bring_into_quo_whatever_happens_in_attio(sides: Sides) -> None:
    sides.sync()
    before = sides.quo()
    deleted, changed, primary, secondary = sorted(before)[:4]
    listener = Listener(sides)
    try:
        ada = sides.create("Lovelace, Ada", "ada@bakery.example")
        sides.attio("PATCH", f"{PEOPLE}/{changed}", {"values": {"phone_numbers": ["+442079460018"]}})
        sides.attio("DELETE", f"{PEOPLE}/{deleted}")
        listener.until(created=1, updated=1, deleted=1)
        both = {"primary_record_id": primary, "secondary_record_id": secondary}
        merged = sides.attio("POST", f"{PEOPLE}/merge", both)["new_record_id"]
        listener.until(created=1, deleted=2)
        listener.stop()
    finally:
        _end(listener.process)
    there = sides.quo()
    assert there.keys() == {*before, ada, merged} - {deleted, primary, secondary}
    assert "+442079460018" in there[changed][-1]
    assert there == sides.should_be()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.communicate()
