"""The password in a log's URL: planted, every command run, well and badly, and looked for everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import click
import pytest
from click.testing import CliRunner

from syncfsm.cli import main
from syncfsm.cli.shared.naming import command_at, table_names
from syncfsm.log import log_name
from tests.acceptance.command import KEY, Cli
from tests.acceptance.forks import ForkServer
from tests.acceptance.server import Server
from tests.planted import UNREADABLE
from tests.postgres import a_schema, server_url
from tests.webhooks import SECRET

PASSWORD = "pl@nted/s3cr:t?#w"
FORMS = (PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1], "s3cr")
ROOT = click.Context(main)


def with_password(url: str, password: str = quote(PASSWORD, safe="")) -> str:
    """Return a URL with a password, which a server that trusts everybody takes."""
    credentials, at, rest = url.partition("://")[2].partition("@")
    return f"postgresql://{credentials.partition(':')[0]}:{password}{at}{rest}"


class Place:
    """A folder, a source, and a log of a sync with captures, whose URL has a password in it."""

    def __init__(self, folder: Path, source_url: str, log: str) -> None:
        self.folder = folder
        self.log = log
        self.source = ("--source", "attio", "--base-url", source_url, "--sink", "sqlite:c.db")
        self.sink = (*self.source[:-1], f"{log}-sink", "--log", log)

    @property
    def sync(self) -> tuple[str, ...]:
        return (*self.source, "--log", self.log)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> Iterator[Place]:
    server = Server(8)
    next(iter(server.world.entities("people").values())).set("job_title", UNREADABLE)  # a reject, so advice
    folder = tmp_path_factory.mktemp("place")
    with a_schema() as url:
        place = Place(folder, server.url, with_password(url))
        out, err = Cli(folder, forks)("sync", *place.sync, "--capture", "-v")
        assert_safe(out + err, folder)
        (folder / "accounts.toml").write_text(settings_of(place))
        yield place
    server.close()


def settings_of(place: Place) -> str:
    of_sync = f'log = "{place.log}"\n\n[accounts.acme]\n'
    names = zip(place.source[::2], place.source[1::2], strict=True)
    of_sync += "".join(f'{name.removeprefix("--")} = "{value}"\n' for name, value in names)
    return of_sync + 'key-variable = "ATTIO_API_KEY"\n'


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("ATTIO_API_KEY", KEY)
    monkeypatch.setenv("ATTIO_WEBHOOK_SECRET", SECRET)

    def run(*args: str) -> int:
        result = CliRunner().invoke(main, args)
        assert_safe(f"{result.output}{result.stderr}{result.exception!r}", place.folder, args)
        assert result.exception is None or isinstance(result.exception, SystemExit), args
        return result.exit_code

    return run


def assert_safe(told: str, folder: Path, args: tuple[str, ...] = ()) -> None:
    """See that nothing of the password was told, or written into a file but the settings."""
    assert not any(form in told for form in FORMS), (args, told)
    for path in folder.iterdir():
        content = path.read_bytes() if path.suffix != ".toml" and path.is_file() else b""
        assert not any(form.encode() in content for form in FORMS), (args, path)


Cases = list[tuple[int, tuple[str, ...]]]


def cases(place: Place) -> Mapping[str, Cases]:
    """Return what is said to each command, well and badly, with the exit status that it has."""
    log, of_accounts = place.log, ("--log", place.log)
    readers = {
        name: [(0, (log,)), (0, (log, "--json")), (2, (log, "nobody")), (2, (log, log))]
        for name in ("replay", "log show", "log check", "log rejects", "log scenario")
    }
    return {
        **readers,
        "sync": [
            *((0, place.sync), (0, (*place.sync, "--json")), (2, (*place.sync, "--mode", log))),
            *((0, place.sink), (0, (*place.sink, "--json")), (0, (*place.sink, "-v", "--mode", "ongoing"))),
            (2, (*place.sink[:-3], f"{log}&table={log}", *place.sink[-2:])),
        ],
        "explain": [(0, (log,)), (0, (log, "--json"))],  # the last, into the other sink
        "check": [
            *((0, place.sync), (0, (*place.sync, "--json")), (2, (*place.sync, "--set", f"{log}=1"))),
            *((0, place.sink), (0, (*place.sink, "--json"))),
        ],
        "watch": [(2, (*place.sync, "--every", log))],  # more in what follows
        "webhooks": [(2, (*place.sync, "--host", log))],  # likewise
        "worker": [(2, (*of_accounts, "--account", log)), (2, ("--log", "sqlite:x", "--account", log))],
        "run": [(0, (*of_accounts, "--once")), (2, (*of_accounts, "--account", log))],
        "accounts": [(0, of_accounts), (0, (*of_accounts, "--json")), (2, (*of_accounts, "--account", log))],
        "resume": [(0, of_accounts), (0, (*of_accounts, "--reason", log))],
        "retry-rejects": [(0, place.sync), (0, place.sink), (2, (*place.sync, log))],
        "rerun": [
            (0, (log, "--sink", "sqlite:again.db", "--log", f"{log}-rerun")),
            (2, (log, "--sink", "sqlite:again.db", "--log", log)),
            (0, (log, "--sink", f"{log}-again", "--log", f"{log}-rerun")),
            (2, (f"{log}-rerun", "--sink", "sqlite:again.db", "--log", "r.db")),
        ],
        "cancel": [(2, (log, "nobody")), (2, (log, log))],
        "top": [(0, (log,)), (0, (log, "--json"))],
        "diff": [
            (0, (log, log)),
            (0, (log, log, "--json")),
            (1, (log, f"{log}@3")),
            (2, (f"{log}#nobody@3", f"{log}#{log}")),
            (2, (log, with_password(log, PASSWORD))),
        ],
        "report": [(0, (log, "-o", "r.html")), (2, (log, log)), (2, (log, "-o", log))],
        "log ls": [(0, (log,)), (0, (log, "--json")), (2, (log, "--state", log))],
        "log verify": [(0, (log,)), (0, (log, "--json"))],
        "log follow": [(0, (log, "--until-over")), (0, (log, "--until-over", "--json")), (2, (log, log))],
        "log prune": [(0, (log, "--older-than", "300d", "--json")), (2, (log, "--older-than", log))],
        "log forget": [(0, (log, "--older-than", "300d")), (2, (log, "--older-than", log))],
        "log export": [(0, (log, "-o", "e.jsonl", "--json")), (2, (log, log)), (2, (log, "-o", log))],
        "log import": [
            (0, ("e.jsonl", "--log", log)),
            (0, ("e.jsonl", "--log", f"{log}-import", "--json")),
            (2, (log, "--log", log)),
        ],
        "log backup": [(2, (log, "copy.db")), (2, ("c.db", log)), (2, (log, log))],
        "log migrate": [(0, (log,)), (0, (log, "--json"))],
        "simulate": [(2, ("calm", "--people", "3", "--log", log)), (2, (log,))],
        "serve": [(2, ("--host", log))],
        "sources": [(0, ())],
        "config show": [
            (0, ("sync", "--log", log)),
            (0, ("sync", "--without", log)),
            (0, ("sync", *place.sink)),
            (2, (log,)),
        ],
    }


def test_every_command_is_run_well_and_badly_and_tells_no_password(
    place: Place, run: Callable[..., int]
) -> None:
    said = cases(place)
    assert sorted(said) == sorted(table_names(ROOT))
    for name, said_to_it in said.items():
        for status, args in said_to_it:
            assert run("--config", "accounts.toml", *name.split(), *args) == status, (name, args)


def test_what_click_refuses_repeats_no_password(place: Place, run: Callable[..., int]) -> None:
    odd = with_password(place.log, PASSWORD)
    for name in table_names(ROOT):
        command = command_at(ROOT, name)
        assert command is not None
        options = [option for option in command.params if isinstance(option, click.Option)]
        for url in (place.log, odd):
            for option in options:
                wrong = (f"{max(option.opts, key=len)}={url}", "--no-such-option")
                assert run(*name.split(), *wrong) == 2
            assert run(*name.split(), *[url] * 5, f"--{url}") == 2
    assert run(place.log) == run("log", odd) == run("--config", odd, "sync") == 2


def test_nor_does_the_settings_file(place: Place, run: Callable[..., int]) -> None:
    for line in (
        'log = ["URL"]', 'page-size = "URL"', 'lok = "URL"', '"URL" = 1', '["URL"]', 'set = ["URL=1"]',
        'source = "URL"', '[sync]\norder = "URL"', '[sources."URL"]', '[accounts."URL"]', 'log = "URL',
        '[accounts.acme]\npage-size = "URL"', '[accounts.acme]\n"URL" = 1', '[accounts.acme]\nsyncs = "URL"',
    ):  # fmt: skip
        Path("bad.toml").write_text(line.replace("URL", place.log))
        for command in ("sync", "config show", "accounts"):
            refused = run("--config", "bad.toml", *command.split())
            assert refused == 2 or command == "config show", line
    for name in ("log", "page_size", "sync_log", "log_show_log", "sources_attio_enabled"):
        run("config", "show", "sync", "--json")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"SYNCFSM_{name}".upper(), place.log)
            run("config", "show", "sync", "--json")
            run("sync", *place.source)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("watch", "--every", "1s"), "ongoing"),
        (("webhooks", "--port", "0"), "http://"),
        (("--config", "accounts.toml", "worker", "--every", "1s"), "acme"),
    ],
)
def test_nor_what_goes_on_until_it_is_ended(
    place: Place, forks: ForkServer, words: tuple[str, ...], first: str
) -> None:
    cli = Cli(place.folder, forks)
    cli.env["ATTIO_WEBHOOK_SECRET"] = SECRET
    asked = ("--log", place.log) if "worker" in words else place.sync
    running = cli.start(*words, *asked, "-v")
    assert running.stdout is not None
    line = running.stdout.readline()
    running.terminate()
    out, err = running.communicate(timeout=30)
    assert first in line, err
    assert_safe(line + out + err, place.folder)


def test_the_name_of_a_log_is_taken_for_it(place: Place, run: Callable[..., int]) -> None:
    name = log_name(place.log)
    assert log_name(name) == name
    assert run("explain", name) == 0
    assert run("diff", name, place.log) == 0


@pytest.mark.parametrize(
    ("url", "words", "status"),
    [
        ("postgresql://u:P@127.0.0.1:1/db", "no server answers at that host and port", 1),
        ("postgresql://u:P@nosuch.invalid/db", "there is no such host", 1),
        ("SERVER/nosuch", "there is no such database; make it with `createdb`", 1),
        ("SERVER&schema=nosuch", "there is no log postgresql://", 2),
        ("postgresql://u:P@h:P/db", "is no number", 2),
        ("postgresql://u:p@P@h/db", "has an odd @ or ?", 2),
        ("postgres:u:P@h/db", "is no URL of a PostgreSQL database", 2),
        ("postgresql+psycopg://u:P@h/db", "no log is known for postgresql+psycopg://", 2),
    ],
)
def test_a_log_that_is_not_there_is_said_to_be_so(
    run: Callable[..., int], url: str, words: str, status: int
) -> None:
    server = with_password(server_url())
    url = url.replace("SERVER/nosuch", server.replace("/postgres?", "/nosuch?"))
    url = url.replace("SERVER", server).replace("P@", f"{quote(PASSWORD, safe='')}@")
    for command in ("log ls", "explain", "top", "log follow", "log verify", "log export", "cancel"):
        more = ("nobody",) if command == "cancel" else ()
        result = CliRunner().invoke(main, [*command.split(), url, *more])
        assert (result.exit_code, words in result.stderr) == (status, True), result.output
        run(*command.split(), url, *more)
