"""A log in PostgreSQL made by one user, written by another, read by a third, and refused to a fourth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from syncfsm.log import open_log
from syncfsm.postgres.address import parse
from tests.acceptance.command import Cli
from tests.acceptance.server import Server
from tests.acceptance.test_log_on_a_server import fill, run
from tests.postgres import GIVEN, NEWEST, admin, connected, server_url

DOCS = Path(__file__).parents[2] / "docs/logs.md"
CHECKING = (
    "check",
    "--source",
    "attio",
    "--base-url",
    "http://127.0.0.1:9",
    "--sink",
    "sqlite:c.db",
    "--log",
)


def of_user(url: str, user: str) -> str:
    """Return the URL with which another user names a log."""
    return f"postgresql://{user}@{url.partition('@')[2]}"


def statements(about: str, schema: str) -> list[str]:
    """Return what the docs tell to run for a user, for one of the same name on a schema."""
    _, _, block = DOCS.read_text().partition(f"```sql\n-- {about}\n")
    found = block.partition("```")[0].replace("SCHEMA syncfsm", f'SCHEMA "{schema}"')
    return found.replace("syncfsm.events", f'"{schema}".events').strip().splitlines()


@pytest.fixture
def users(newest_postgres_url: str) -> Iterator[str]:
    """The URL of a log that was made; and users `reader`, `worker` and `stranger` of the server."""
    run("log", "migrate", newest_postgres_url)
    names = [sql.Identifier(name) for name in ("reader", "worker", "stranger")]
    for name in names:
        admin().execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    schema = parse(newest_postgres_url).schema
    for about in ("a worker", "a reader"):
        for statement in statements(about, schema):
            admin().execute(statement.encode())
    yield newest_postgres_url
    for name in names:
        admin().execute(sql.SQL("DROP OWNED BY {}").format(name))
        admin().execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTIO_API_KEY", "any")
    return tmp_path


READING = (
    *("log ls", "log show", "log verify", "log check", "log rejects", "log export", "log scenario"),
    *("replay", "report", "top", "log follow --until-over"),
)


def test_who_may_only_read_does_all_that_only_reads_and_is_refused_the_rest(users: str) -> None:
    with open_log(users) as log:
        fill(log)
    reader = of_user(users, "reader")
    for command in READING:
        more = ("p1",) if "over" in command or "scenario" in command else ()
        run(*command.split(), reader, *more)
    run("explain", reader, "p1")
    run("diff", reader, f"{users}")
    for command in (("cancel", reader, "p9"), ("log", "forget", reader, "--older-than", "0s")):
        assert "the user may not do that there" in run(*command, status=1).stderr
    turns = sql.Identifier(parse(users).schema, "turns")
    admin().execute(
        sql.SQL("REVOKE SELECT ON {} FROM reader").format(turns)
    )  # made after the rights were given
    run("top", reader)
    run("log", "export", reader, "-o", "e.jsonl")
    Path("e.jsonl").write_text(Path("e.jsonl").read_text().replace('"p9"', '"p8"'))
    assert "syncfsm" in run("log", "import", "e.jsonl", "--log", reader, status=3).stderr
    checked = run(*CHECKING, reader, status=1)
    assert "a sync could not start" in checked.stdout
    assert "cannot be written: the user may not do that there" in checked.stderr


def test_a_stranger_is_told_what_is_missing(users: str) -> None:
    stranger = of_user(users, "stranger")
    for command in READING:
        assert "cannot be read: the user may not" in run(*command.split(), stranger, status=1).stderr


def test_a_worker_works_on_what_another_made(
    users: str, cli: Cli, serve: Callable[..., Server], folder: Path
) -> None:
    server, worker = serve(6), of_user(users, "worker")
    done = cli.json("sync", *_where(server), "--log", worker)
    assert done["created"] == 6
    assert run("log", "migrate", worker).stdout.endswith(": up to date; so is the queue of workers\n")
    (folder / "accounts.toml").write_text(
        f'[accounts.acme]\nsource = "attio"\nbase-url = "{server.url}"\nsink = "sqlite:w.db"\n'
        'key-variable = "ATTIO_API_KEY"\n'
    )
    working = cli.start("--config", "accounts.toml", "worker", "--log", worker, "--json")
    assert working.stdout is not None
    assert json.loads(working.stdout.readline())["state"] == "COMPLETED"
    working.terminate()
    _, err = working.communicate(timeout=30)
    assert "error" not in err
    change = sql.SQL("UPDATE {}.events SET data = ''").format(sql.Identifier(parse(users).schema))
    with connected(worker) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(change)


def _where(server: Server) -> tuple[str, ...]:
    return ("--source", "attio", "--base-url", server.url, "--sink", "sqlite:contacts.db")


@pytest.mark.skipif(bool(GIVEN), reason="somebody else's server keeps its own rules")
def test_a_wrong_password_is_said_to_be_wrong() -> None:
    admin().execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
    hba = Path(admin().execute("SHOW hba_file").fetchone()[0])  # type: ignore[index]
    before = hba.read_text()
    hba.write_text(f"local all locked scram-sha-256\n{before}")
    admin().execute("SELECT pg_reload_conf()")
    try:
        url = of_user(server_url(NEWEST), "locked:wr0ng")
        for command in (("log", "ls"), ("top",), ("log", "migrate")):
            words = run(*command, url, status=1).stderr
            assert "the password is refused; check the user and the password" in words
            assert "wr0ng" not in words
            words = run(*command, url.replace(":wr0ng", ""), status=1).stderr
            assert "put it into the URL, PGPASSWORD or ~/.pgpass" in words
    finally:
        hba.write_text(before)
        admin().execute("SELECT pg_reload_conf()")
        admin().execute("DROP ROLE locked")


def test_a_log_is_made_and_brought_up_to_date_as_often_as_one_likes(
    newest_postgres_url: str, cli: Cli, serve: Callable[..., Server]
) -> None:
    told = [run("log", "migrate", newest_postgres_url, "--json").stdout for _ in range(2)]
    assert [json.loads(words)["did"] for words in told] == ["made", "nothing"]
    assert all(json.loads(words)["queue"] for words in told)
    assert run("log", "ls", newest_postgres_url).stderr == "no processes yet\n"
    server = serve(120)
    server.hold_after(1)
    syncing = cli.start("sync", *_where(server), "--log", newest_postgres_url, "--json")
    assert server.is_holding.wait(30)
    assert run("log", "migrate", newest_postgres_url).stdout.endswith("so is the queue of workers\n")
    server.hold_after(None)
    out, _ = syncing.communicate(timeout=60)
    assert json.loads(out)["state"] == "COMPLETED"
    assert run("log", "migrate", "new.db").stdout == "new.db: made, and up to date\n"
