"""An attribute that a workspace has no more: a sync says so, and goes on without it where it is told to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import Cli, Server

Serve = Callable[..., Server]


def archive(server: Server, slug: str) -> None:
    """Take an attribute away, from the object and from all of its records."""
    kind = server.world.objects["people"]
    kept = tuple(attribute for attribute in kind.attributes if attribute.slug != slug)
    server.world.objects["people"] = replace(kind, attributes=kept)
    for entity in server.world.entities("people").values():
        entity.set(slug, [])
        del entity.values[slug]


def phones(cli: Cli) -> list[tuple[str, str]]:
    return sorted(contacts_in(cli.folder / "contacts.db", "external_id, phone_numbers"))


@pytest.mark.parametrize("sink", ["sqlite", "jsonl"])
def test_a_sync_stops_before_it_begins_and_goes_on_without(serve: Serve, cli: Cli, sink: str) -> None:
    server = serve(120)
    args = ("--sink", f"jsonl:{cli.folder / 'people.jsonl'}") if sink == "jsonl" else ()
    assert cli.sync(server.url, *args)["created"] == 120
    archive(server, "phone_numbers")
    before = dict(server.queries)
    failed = cli.sync(server.url, *args, status=1)
    assert failed["failure"]["reason"] == "unfit"
    assert "phone_numbers is missing" in failed["failure"]["error"]
    assert "--without phone_numbers" in failed["failure"]["error"]
    assert dict(server.queries) == before, "no page was asked for"
    done = cli.sync(server.url, *args, "--without", "phone_numbers")
    assert (done["process"], done["unchanged"]) == (failed["process"], 120)
    assert done["left_out"] == {}


def test_check_says_it_beforehand(serve: Serve, cli: Cli) -> None:
    server = serve(5)
    archive(server, "job_title")
    _, err = cli("check", *cli.sync_args(server.url)[1:], status=1)
    assert "job_title is missing" in err
    cli("check", *cli.sync_args(server.url)[1:], "--without", "job_title")


def test_what_is_left_alone_stays_in_the_sink_whatever_the_source_has(serve: Serve, cli: Cli) -> None:
    server = serve(60)
    cli.sync(server.url)
    before = phones(cli)
    for entity in server.world.entities("people").values():
        entity.set("phone_numbers", [])
    failed = cli.sync(server.url, status=1)
    assert failed["failure"]["reason"] == "blanked_ratio_max"
    assert phones(cli) == before
    assert cli.sync(server.url, "--without", "phone_numbers")["unchanged"] == 60
    assert phones(cli) == before
    assert cli.sync(server.url, "--set", "blanked_ratio_max=1")["updated"] > 0
    assert {numbers for _, numbers in phones(cli)} == {"[]"}


def test_the_names_of_companies_stay_where_they_are_not_looked_up(serve: Serve, cli: Cli) -> None:
    server = serve(60, companies=3)
    cli.sync(server.url)
    before = sorted(contacts_in(cli.folder / "contacts.db", "external_id, company"))
    assert any(company for _, company in before)
    assert cli.sync(server.url, "--no-companies")["unchanged"] == 60
    assert sorted(contacts_in(cli.folder / "contacts.db", "external_id, company")) == before


def test_an_attribute_that_contacts_are_not_made_of_is_refused_before_anything_is_asked(
    serve: Serve, cli: Cli
) -> None:
    server = serve(1)
    _, err = cli(*cli.sync_args(server.url), "--without", "phones", status=2)
    assert "'phones'" in err
    assert sum(server.fake.requests.values()) == 0


def test_a_users_key_is_warned_of_where_it_deletes(serve: Serve, cli: Cli) -> None:
    server = serve(3, token_level="user")
    _, err = cli("check", *cli.sync_args(server.url)[1:], "--delete-missing")
    assert "the key is a user's" in err
    _, err = cli(*cli.sync_args(server.url), "--delete-missing")
    assert "the key is a user's" in err
    out, err = cli(*cli.sync_args(server.url))
    assert "COMPLETED" in out
    assert "user's" not in err
