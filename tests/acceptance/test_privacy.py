"""What never shows: a person in what is no contact, and the key anywhere; planted, and looked for."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncfsm.cli import main
from syncfsm.log import open_log
from tests.acceptance.careless import LASTING, MARKERS, PASSING, Careless, mark, spoil
from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import KEY, Cli, Server

Serve = Callable[..., Server]

STEPWISE = ("--page-size", 50, "--read-ahead", 1)
NO_WAIT = ("--set", "attempts_max=50", "--set", "wait_s_max=0")


@pytest.fixture
def server(serve: Serve) -> Server:
    server = serve(300)
    mark(server.world)
    spoil(server.world)
    return server


def log_files(folder: Path) -> Iterator[bytes]:
    """Yield the bytes of the log and of what SQLite keeps beside it."""
    for path in folder.glob("*.db*"):
        if path.name.startswith("sync.db"):
            yield path.read_bytes()


def spoken(cli: Cli, *args: object) -> str:
    """Return all that a command says, whatever comes of it."""
    process = cli.start(*args)
    out, err = process.communicate(timeout=120)
    assert process.returncode in {0, 1, 2}, err
    assert "Traceback" not in err
    return out + err


def all_views(cli: Cli) -> str:
    """Return every view of the log, for people and for machines."""
    views = [("log", "show"), ("replay",), ("log", "rejects"), ("log", "ls"), ("log", "verify")]
    log = str(cli.folder / "sync.db")
    asked = [[*view, log, *more] for view in views for more in ((), ("--json",))]
    return "".join(CliRunner().invoke(main, args, catch_exceptions=False).output for args in asked)


def assert_no_marker(text: str, folder: Path) -> None:
    for what, marker in MARKERS.items():
        assert marker not in text, what
        assert marker.encode("unicode_escape").decode() not in text, what
        for content in log_files(folder):
            assert marker.encode() not in content, what


def test_nobody_shows_in_the_log_or_on_the_terminal_whatever_goes_wrong(server: Server, cli: Cli) -> None:
    server.fake = Careless(server.fake, PASSING, after=3)  # type: ignore[assignment]
    args = (*cli.sync_args(server.url), *NO_WAIT, "--page-size", 100)
    said = spoken(cli, *args, "-v") + all_views(cli)
    assert said.count("RecordRejected") >= 6
    assert said.count("RetryScheduled") >= 5
    assert '"state": "COMPLETED"' in said
    assert_no_marker(said, cli.folder)
    assert MARKERS["email"].encode() in (cli.folder / "contacts.db").read_bytes()


@pytest.mark.parametrize("kind", LASTING)
def test_a_refusal_for_good_is_told_in_our_own_words(server: Server, cli: Cli, kind: str) -> None:
    server.fake = Careless(server.fake, (kind,), after=4)  # type: ignore[assignment]
    said = spoken(cli, *cli.sync_args(server.url), "-v") + all_views(cli)
    assert "FAILED" in said
    assert "error: Attio answered" in said
    assert_no_marker(said, cli.folder)
    assert KEY not in said


@pytest.mark.parametrize("capture", [(), ("--capture",)])
def test_a_key_that_the_server_repeats_is_in_no_file_and_on_no_terminal(
    server: Server, cli: Cli, capture: tuple[str, ...]
) -> None:
    server.fake = Careless(server.fake, PASSING, after=3)  # type: ignore[assignment]
    said = spoken(cli, *cli.sync_args(server.url), *NO_WAIT, "-v", *capture)
    said += all_views(cli)
    assert '"state": "COMPLETED"' in said
    assert KEY not in said
    for path in cli.folder.iterdir():
        assert KEY.encode() not in path.read_bytes(), path
    with open_log(cli.folder / "sync.db") as log:
        kept = [log.exchange(capture.id) for capture in log.captures(log.ids()[0])]
    assert bool(kept) is bool(capture)
    assert not any(KEY in f"{exchange.request} {exchange.as_of} {exchange.body!r}" for exchange in kept)
    urls = contacts_in(cli.folder / "contacts.db", "source_url")
    assert {url[:13] for (url,) in urls} == {"[redacted]://"}


def test_a_sync_that_is_killed_leaves_neither_key_nor_person_in_the_files_beside_the_log(
    server: Server, cli: Cli
) -> None:
    server.fake = Careless(server.fake, PASSING, after=3)  # type: ignore[assignment]
    server.hold_after(12)
    process = cli.start(*cli.sync_args(server.url), *STEPWISE, *NO_WAIT)
    assert server.is_holding.wait(30)
    process.kill()
    process.communicate()
    assert (cli.folder / "sync.db-wal").stat().st_size > 0
    assert_no_marker("", cli.folder)
    assert not any(KEY.encode() in content for content in log_files(cli.folder))


@pytest.mark.parametrize(
    "option",
    [
        ("--base-url", f"https://{KEY}@api.attio.test/"),
        ("--base-url", "https://user:hunter2-hunter2@api.attio.test/"),
        ("--base-url", "https://hunter2-hunter2@api.attio.test/"),
        ("--base-url", "https://api.attio.test/?key=hunter2-hunter2"),
        ("--base-url", f"https://api.attio.test/{KEY}"),
        ("--sink", f"mysql://{KEY}@host/db"),
        ("--sink", "mysql://user:hunter2-hunter2@host/db"),
        ("--sink", f"sqlite:{KEY}.db"),
        ("--source", KEY),
        ("--log", f"{KEY}.db"),
        (f"--{KEY}",),
    ],
    ids=lambda option: option[0],
)
def test_a_secret_in_an_option_is_refused_and_not_shown(cli: Cli, option: tuple[str, ...]) -> None:
    for json in ((), ("--json",)):
        out, err = cli(*cli.sync_args("http://127.0.0.1:9"), *option, *json, status=2)
        assert "hunter2" not in out + err
        assert "leave" in err or "no sink is known as 'mysql':" in err
    for path in cli.folder.iterdir():
        assert KEY.encode() not in path.read_bytes()
        assert KEY not in path.name
        assert b"hunter2" not in path.read_bytes()


def contacts(path: Path) -> list[tuple[str, ...]]:
    return contacts_in(
        path, "external_id, first_name, last_name, company, role, phone_numbers, emails, source_url"
    )


def test_a_captured_sync_runs_again_without_key_or_network_and_is_forgotten(server: Server, cli: Cli) -> None:
    _, err = cli(*cli.sync_args(server.url), *STEPWISE, "--capture")
    assert "capture is on: the log keeps what comes, personal data too" in err
    (listed,) = cli.json("log", "ls", "sync.db")["processes"]
    assert listed["captured"] >= 9  # two checks, six pages and a look-up
    assert " answers captured" in cli("log", "ls", "sync.db")[0]
    server.hold_after(0)
    del cli.env["ATTIO_API_KEY"]
    for _ in range(2):  # a re-run begins anew each time
        again = cli.json("rerun", "sync.db", "--sink", "sqlite:again.db", "--log", "again.db-log")
        assert (again["state"], again["fetched"], again["rejected"]) == ("COMPLETED", 300, 6)
        assert again["source"] == f"captured:{listed['process']}"
    assert contacts(cli.folder / "again.db") == contacts(cli.folder / "contacts.db")
    assert len(cli.json("log", "rejects", "again.db-log")["rejects"]) == 6
    cli("log", "rejects", "again.db-log")
    assert cli.json("log", "forget", "sync.db", "--older-than", "1h")["exchanges"] == 0
    forgotten = cli.json("log", "forget", "sync.db", "--older-than", "0s", "--process", listed["process"][:5])
    assert (forgotten["exchanges"], forgotten["left"]) == (listed["captured"], 0)
    assert forgotten["freed_bytes"] > 10_000
    _, err = cli("rerun", "sync.db", "--sink", "sqlite:again.db", status=2)
    assert "nothing in sync.db was captured" in err
    assert cli.json("log", "verify", "sync.db")["findings"] == []
    assert_no_marker("", cli.folder)


def test_a_capture_with_a_gap_is_said_to_have_one(server: Server, cli: Cli) -> None:
    for queries, capture, words in (
        (2, ("--capture",), "capture is on"),
        (2, (), "captured until here, and no more without --capture"),
    ):
        server.hold_after(queries)
        process = cli.start(*cli.sync_args(server.url), *STEPWISE, *capture)
        assert server.is_holding.wait(30)
        process.kill()
        assert process.stderr is not None
        assert words in process.communicate()[1]
    server.hold_after(None)
    cli(*cli.sync_args(server.url), "--capture")
    _, err = cli("rerun", "sync.db", "--sink", "sqlite:again.db", status=2)
    assert "pages were not captured, the first at version" in err


@pytest.mark.parametrize("text", ["30", "d", "1.5h", "-1d", "1w", "30 d", ""])
def test_what_is_no_length_of_time_is_refused_with_some_that_are(cli: Cli, text: str) -> None:
    _, err = cli("log", "forget", "sync.db", f"--older-than={text}", status=2)
    assert "such as 30d, 12h or 90m" in err


def test_what_is_made_can_be_read_by_its_owner_alone_and_what_was_there_stays_as_it_was(
    server: Server, cli: Cli
) -> None:
    kept = cli.folder / "kept.html"
    cli(*cli.sync_args(server.url), "--capture", *NO_WAIT)
    cli("log", "export", "sync.db", "-o", "sync.jsonl")
    cli("log", "export", "sync.db", "--redact", "-o", "redacted.jsonl")
    cli("report", "sync.db", "-o", "sync.html")
    made = [path for path in cli.folder.iterdir() if path.is_file()]
    assert {"contacts.db", "sync.db", "sync.jsonl", "redacted.jsonl", "sync.html"} <= {
        path.name for path in made
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    (cli.folder / "sync.html").rename(kept)
    kept.chmod(0o644)
    cli("report", "sync.db", "-o", "kept.html")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
