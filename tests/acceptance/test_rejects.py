"""Records that cannot be delivered: seen, mended and sent again, as a user does it over real HTTP."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable

import pytest

from syncfsm_simulator.world.entity import Entity
from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import Cli, Server
from tests.planted import UNREADABLE

Serve = Callable[..., Server]


def people_of(server: Server) -> list[Entity]:
    return list(server.world.entities("people").values())


def spoil(*people: Entity) -> None:
    for person in people:
        person.set("job_title", UNREADABLE)


def mend(*people: Entity) -> None:
    for person in people:
        person.set("job_title", [{"active_until": None, "value": "Mended"}])


def roles(cli: Cli) -> dict[str, str | None]:
    return dict(contacts_in(cli.folder / "contacts.db", "external_id, role"))


def next_command(out: str) -> list[str]:
    """Return the arguments of the command that the last line tells to try."""
    return shlex.split(out.splitlines()[-1].partition("syncfsm ")[2])


def retry_args(server: Server) -> tuple[str, ...]:
    where = ("--base-url", server.url, "--sink", "sqlite:contacts.db", "--log", "sync.db")
    return ("retry-rejects", "--source", "attio", *where)


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(120)


def test_bad_records_are_listed_mended_and_sent_again_by_the_commands_that_are_shown(
    server: Server, cli: Cli
) -> None:
    bad = people_of(server)[3:60:20]
    spoil(*bad)
    out, _ = cli(*cli.sync_args(server.url))
    shown = next_command(out)
    assert shown[:2] == ["log", "rejects"]
    out, _ = cli(*shown)
    lines = out.splitlines()
    assert {line.split()[0] for line in lines[:-1]} == {person.record_id for person in bad}
    assert all("not a person: a byte in it is no UTF-8" in line for line in lines[:-1])
    assert all("  page at " in line for line in lines[:-1])
    assert "send 3 records again: syncfsm retry-rejects" in lines[-1]
    mend(*bad)
    before = sum(server.fake.requests.values())
    out, _ = cli(*next_command(out))
    assert "3 records: 3 created, 0 updated, 0 unchanged, 0 rejected" in out
    assert sum(server.fake.requests.values()) - before <= 4  # key, object, one page, one page of companies
    assert roles(cli).keys() == server.world.entities("people").keys()
    assert {roles(cli)[person.record_id] for person in bad} == {"Mended"}
    out, _ = cli(*shown)
    assert out.count("delivered later by") == 3
    assert next_command(out)[:2] == ["log", "show"]
    cli(*next_command(out))
    assert cli.json("log", "verify", "sync.db")["findings"] == []


def test_the_rejects_as_json_say_all_there_is_to_know(server: Server, cli: Cli) -> None:
    bad, gone = people_of(server)[:2]
    spoil(bad, gone)
    first = cli.sync(server.url)
    mend(bad)
    server.world.delete_person(gone.record_id)
    retry = cli.json(*retry_args(server))
    assert (retry["state"], retry["mode"], retry["parent"]) == ("COMPLETED", "rejects", first["process"])
    assert (retry["created"], retry["rejected"], retry["without_id"], retry["watermark"]) == (1, 1, 0, None)
    answer = cli.json("log", "rejects", "sync.db")
    assert (answer["process"], answer["open"], answer["without_id"]) == (first["process"], 0, 0)
    assert {reject["record_id"]: reject["is_gone"] for reject in answer["rejects"]} == {
        bad.record_id: False,
        gone.record_id: True,
    }
    assert "; gone from the source since" in cli("log", "rejects", "sync.db", first["process"])[0]
    by = {reject["record_id"]: reject["delivered_by"] for reject in answer["rejects"]}
    assert by == {bad.record_id: retry["process"], gone.record_id: None}
    assert all(reject["at"] and reject["reason"] and reject["version"] for reject in answer["rejects"])
    (again,) = cli.json("log", "rejects", "sync.db", retry["process"][:6])["rejects"]
    assert again["reason"] == "the source has no such record any more"


def test_a_record_without_a_place_in_the_order_is_brought_by_its_id(server: Server, cli: Cli) -> None:
    person = people_of(server)[7]
    person.set("created_at", [])
    assert cli.sync(server.url)["rejected"] == 1
    (reject,) = cli.json("log", "rejects", "sync.db")["rejects"]
    assert reject["reason"] == "cannot be placed: values.created_at is empty"
    assert cli.json(*retry_args(server))["created"] == 1
    assert person.record_id in roles(cli)


def test_without_rejects_there_is_nothing_to_retry_and_that_is_no_error(server: Server, cli: Cli) -> None:
    cli.sync(server.url)
    out, _ = cli(*retry_args(server))
    assert out.startswith("nothing to retry")
    assert cli.json(*retry_args(server)) == {"process": None, "state": None, "without_id": 0}
    out, err = cli("log", "rejects", "sync.db")
    assert "has no rejects" in err
    cli(*next_command(out))
    assert len(cli.json("log", "ls", "sync.db")["processes"]) == 1


def test_rejects_without_an_id_are_counted_and_said_to_be_beyond_a_retry(server: Server, cli: Cli) -> None:
    nobody, bad = people_of(server)[:2]
    nobody._encoded = b'{"id": {}, "values": {}}'
    cli.sync(server.url)
    out, err = cli(*retry_args(server))
    assert "1 reject has no record id and cannot be asked for again" in err
    assert out.startswith("nothing to retry")
    spoil(bad)
    cli.sync(server.url)
    assert cli.json(*retry_args(server))["without_id"] == 1
    out, _ = cli("log", "rejects", "sync.db")
    assert "(no record id)" in out
    assert "send 1 record again" in out


def test_a_retry_that_is_killed_goes_on_where_it_stopped(server: Server, cli: Cli) -> None:
    bad = people_of(server)[:9]
    spoil(*bad)
    cli.sync(server.url)
    mend(*bad)
    args = (*retry_args(server), "--page-size", 2, "--no-companies")
    server.hold_after(3)
    process = cli.start(*args)
    assert server.is_holding.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.hold_after(None)
    _, err = cli(*cli.sync_args(server.url), status=2)
    assert "a retry of the rejects of people is active" in err.replace(f"attio:{server.url} ", "")
    out, err = cli(*args, "--json")
    last = json.loads(out)
    assert "going on with process" in err
    assert (last["state"], last["fetched"], last["pages"]) == ("COMPLETED", 9, 5)
    assert len(cli.json("log", "ls", "sync.db")["processes"]) == 2


def test_rejects_of_a_log_or_a_process_that_is_not_there_are_wrong_use(server: Server, cli: Cli) -> None:
    _, err = cli(*retry_args(server), status=2)
    assert "there is no log sync.db" in err
    cli.sync(server.url)
    for args in (("log", "rejects", "sync.db", "zz"), (*retry_args(server), "zz")):
        _, err = cli(*args, status=2)
        assert "begins with 'zz'" in err


def test_a_limit_can_be_set_for_a_retry_too(server: Server, cli: Cli) -> None:
    bad = people_of(server)[0]
    spoil(bad)
    cli.sync(server.url)
    retry = cli.json(*retry_args(server), "--set", "attempts_max=3")
    events = cli.json("log", "show", "sync.db", retry["process"])["events"]
    assert events[0]["event"]["options"]["attempts_max"] == 3
