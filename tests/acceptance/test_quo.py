"""Attio people into Quo, as a user does it: the command line, over real sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance.conftest import Cli, Server

Serve = Callable[..., Server]
KEY = "planted-quo-key-9876543210"
PARTNER_KEY = "planted-partner-key-9876543210"


@pytest.fixture
def cli(cli: Cli) -> Cli:
    cli.env |= {"QUO_API_KEY": KEY, "QUO_PARTNER_KEY": PARTNER_KEY}
    return cli


def quo_args(url: str, *args: object) -> tuple[object, ...]:
    return ("sync", "--source", "attio", "--base-url", url, "--sink", f"quo:{url}", "--log", "sync.db", *args)


@pytest.mark.parametrize(("more", "pages"), [(("--page-size", 20), 2), (("--quo-bulk",), 1)])
def test_all_people_are_in_quo_once_and_a_second_run_writes_nothing(
    serve: Serve, cli: Cli, more: tuple[object, ...], pages: int
) -> None:
    server = serve(30)  # into Quo go ten a second
    first = cli.json(*quo_args(server.url, *more))
    assert (first["state"], first["fetched"], first["created"]) == ("COMPLETED", 30, 30)
    assert first["pages"] == pages
    contacts = server.quo.contacts
    assert {contact.external_id for contact in contacts.by_id.values()} == set(
        server.world.entities("people")
    )
    second = cli.json(*quo_args(server.url, *more))
    assert (second["created"], second["updated"], second["unchanged"], contacts.writes) == (0, 0, 30, 30)
    assert cli.json("log", "verify", "sync.db")["findings"] == []
    for path in cli.folder.iterdir():
        content = path.read_bytes()
        assert KEY.encode() not in content
        assert PARTNER_KEY.encode() not in content


def test_people_without_a_phone_number_are_left_out_if_so_asked_and_the_end_says_how_many(
    serve: Serve, cli: Cli
) -> None:
    server = serve(40)
    out, _ = cli(*quo_args(server.url, "--require-phone"))
    replay = cli.json("replay", "sync.db")
    (left_out,) = replay["left_out"].values()
    assert 0 < left_out < 40
    assert f"  left out: {left_out} people without a phone number\n" in out
    assert (replay["unchanged"], replay["rejected"], replay["fetched"]) == (left_out, 0, 40)
    assert len(server.quo.contacts.by_id) == 40 - left_out


def test_a_wrong_quo_key_fails_within_a_second_and_names_the_variable(serve: Serve, cli: Cli) -> None:
    server = serve(10)
    server.quo._api_key = "another"
    _, err = cli(*quo_args(server.url), status=1)
    assert "set QUO_API_KEY" in err
    replay = cli.json("replay", "sync.db")
    assert (replay["failure"]["action"], replay["failure"]["reason"]) == ("check", "unauthorized")
    out, _ = cli("explain", "sync.db", status=1)
    assert "Set QUO_API_KEY to a key that the sink accepts" in out
    assert f"--sink quo:{server.url}" in out


@pytest.mark.parametrize(
    ("unset", "more", "words"),
    [
        ("QUO_API_KEY", (), "there is no Quo key: set QUO_API_KEY"),
        ("QUO_PARTNER_KEY", ("--quo-bulk",), "there is no key for Quo's bulk route: set QUO_PARTNER_KEY"),
        ("", ("--default-region", "Texas"), "'Texas' is no region"),
        ("", ("--sink", "sqlite:x.db", "--require-phone"), "go with --sink quo: only"),
    ],
)
def test_wrong_use_says_what_would_be_right(
    serve: Serve, cli: Cli, unset: str, more: tuple[object, ...], words: str
) -> None:
    cli.env[unset or "UNUSED"] = " "
    _, err = cli(*quo_args(serve(1).url, *more), status=2)
    assert words in err


def test_serve_answers_as_attio_and_as_quo(cli: Cli) -> None:
    key = cli.env.pop("QUO_API_KEY")  # or the command would refuse to repeat it
    process = cli.start("serve", "--port", 0, "--people", 15, "--quo-api-key", key)
    cli.env["QUO_API_KEY"] = key
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert f"--sink quo:{url}" in process.stdout.readline()
    assert cli.json(*quo_args(url))["created"] == 15
    process.terminate()
    process.communicate(timeout=30)
