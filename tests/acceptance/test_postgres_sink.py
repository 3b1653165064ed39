"""Contacts into PostgreSQL by the command line: everybody comes, and no password is shown or kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncfsm.outside.safe_words import passwords
from syncfsm.sinks.postgres.place import placed
from tests.acceptance.conftest import Cli, Server
from tests.acceptance.test_sync import contacts_in
from tests.integration.test_postgres_sink import ask, in_postgres

Serve = Callable[..., Server]

PASSWORD = "planted-password-0123456789"


@pytest.fixture
def url(newest_postgres_url: str) -> str:
    """A URL with a password in it; the test's own server lets everybody in, whatever it is."""
    return newest_postgres_url.replace("postgres:@", f"postgres:{PASSWORD}@", 1)


def test_all_people_arrive_once_and_as_they_do_in_a_file(serve: Serve, cli: Cli, url: str) -> None:
    server = serve(130)
    cli.sync(server.url)
    first = cli.json("sync", *into(server, url))
    assert (first["state"], first["created"]) == ("COMPLETED", 130)
    columns = "external_id, first_name, last_name, company, role, emails"
    in_file = contacts_in(cli.folder / "contacts.db")
    assert {row[0] for row in in_file} == {contact.external_id for contact in in_postgres(url)}
    assert len(ask(url, f"SELECT {columns} FROM {{table}}")) == len(in_file)
    second = cli.json("sync", *into(server, url.replace("postgresql://", "postgres://")), "--mode", "ongoing")
    assert (second["state"], second["sink"], second["created"]) == ("COMPLETED", first["sink"], 0)


def into(server: Server, url: str) -> tuple[str, ...]:
    return ("--source", "attio", "--base-url", server.url, "--sink", url, "--log", "pg.db")


def test_no_password_is_in_what_is_shown_or_kept(serve: Serve, cli: Cli, url: str) -> None:
    server = serve(30)
    shown = []
    for args in (
        ("check", *into(server, url)[:-2]),
        ("sync", *into(server, url), "-v"),
        ("sync", *into(server, url), "--json"),
        ("sync", *into(server, url.replace("@/postgres", "@/nowhere")), "--fresh"),
        ("explain", "pg.db"),
        ("log", "show", "pg.db"),
        ("sync", *into(server, f"postgresql://u:{PASSWORD}@h@/d")),
        ("sync", *into(server, f"postgresql:u:{PASSWORD}@h/d")),
        ("sync", *into(server, f"{url}&table=")),
        ("sync", *into(server, f"{url}&colour={PASSWORD}")),
        ("rerun", "pg.db", "--sink", url),
    ):
        process = cli.start(*args)
        shown.append("".join(process.communicate(timeout=60)))
        assert "Traceback" not in shown[-1]
        assert PASSWORD not in shown[-1], args[0]
    for path in cli.folder.iterdir():
        assert PASSWORD.encode() not in path.read_bytes()
    assert f"people of attio:{server.url} → {placed(url).name}" in "".join(shown)
    assert "there is no such database" in "".join(shown)


def test_passwords_are_found_in_urls_as_written_and_as_meant() -> None:
    assert passwords("postgresql://u:a%40b@h/d?sslpassword=c&x=y") == ("a%40b", "a@b", "c")
    assert passwords("sqlite:contacts.db") == passwords("postgresql://u@h/d") == ()
