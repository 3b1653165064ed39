"""What came from outside, in a log, and what a terminal gets to see of it: never a control character."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncfsm.cli import main
from syncfsm.cli.shared.output import print_json, print_json_line, say
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.place import Reject
from syncfsm.engine.engine import Engine
from syncfsm.log import open_log
from syncfsm.outside.safe_words import printable
from syncfsm.sources.protocol import Record, Transformed
from syncfsm.telemetry import LogEvents, stderr_logger
from tests.fakes import DictSink, Item, ListSource, TestClock
from tests.unit.test_structure import ROOT

EVIL = "\x1b[2J\x07red\r\nexit: all is well\x9b31m \u202egnp.exe \x00"
SEEN = r"\x1b[2J\x07red\r\nexit: all is well\x9b31m \u202egnp.exe \x00"


@pytest.fixture(scope="module")
def log_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a sync with words from outside wherever they can stand."""
    path = tmp_path_factory.mktemp("evil") / "sync.db"

    async def refusing(records: Sequence[Record]) -> Transformed[Item]:
        rejects = tuple(Reject(record_id=record.id, reason=EVIL) for record in records)
        return Transformed(items=(), rejects=rejects)

    with open_log(path) as log:
        source, sink = ListSource(TestClock(), 3), DictSink()
        source.name = sink.name = f"list:{EVIL}"
        source.object = EVIL
        source.records = [Record(id=f"{number}{EVIL}", key=str(9 - number), raw=b"") for number in range(3)]
        source.failures = [Failure(kind=FailureKind.UNAVAILABLE, message=EVIL)]
        engine = Engine(log, source, sink, refusing, clock=source.clock, hooks=[LogEvents(stderr_logger())])
        asyncio.run(engine.sync())
    return path


COMMANDS = [
    ("explain",),
    ("log", "ls"),
    ("log", "show"),
    ("log", "rejects"),
    ("log", "verify"),
    ("replay",),
    ("top", "--once"),
    ("log", "follow", "--until-over", "--last", "100"),
]


def printed(log_path: Path, command: Sequence[str], *more: str) -> str:
    name, args = (command[:2], command[2:]) if command[0] == "log" else (command[:1], command[1:])
    done = CliRunner().invoke(main, [*name, str(log_path), *args, *more])
    assert not isinstance(done.exception, Exception), done.exception
    return done.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_control_character_gets_to_the_terminal(log_path: Path, command: tuple[str, ...]) -> None:
    shown = printed(log_path, command)
    assert all(printable(line) == line for line in shown.split("\n"))
    assert "\nexit: all is well" not in shown


@pytest.mark.parametrize("command", [("explain",), ("log", "show"), ("log", "rejects"), ("log", "ls")])
def test_what_was_said_can_still_be_read(log_path: Path, command: tuple[str, ...]) -> None:
    assert SEEN in printed(log_path, command)


@pytest.mark.parametrize("command", [*COMMANDS[:4], COMMANDS[5]], ids=" ".join)
def test_for_machines_it_is_escaped_as_json_has_it(log_path: Path, command: tuple[str, ...]) -> None:
    shown = printed(log_path, command, "--json")
    assert all(printable(line) == line for line in shown.split("\n"))
    assert any(EVIL in text for text in texts(json.loads(shown)))


def texts(value: object) -> list[str]:
    """Return every text in a value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def test_log_lines_have_none_either(capsys: pytest.CaptureFixture[str], log_path: Path) -> None:
    with open_log(log_path, read_only=True) as log:
        (process_id,) = log.ids()
        process = log.load(process_id)
        hook = LogEvents(stderr_logger(file=sys.stderr))
        for recorded in log.read(process_id):
            hook(process, recorded)
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) > 3
    assert all(printable(line) == line for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("people of attio → sqlite:c.db", "people of attio → sqlite:c.db"),
        ("Ünder 名前 🦊", "Ünder 名前 🦊"),
        (EVIL, SEEN),
        ("a\tb\x7f", r"a\tb\x7f"),
        ("half \udc80 a byte", r"half \udc80 a byte"),
    ],
)
def test_a_text_is_as_it_was_but_for_what_moves_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_json_whatever_stdout_can_print(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    value = {"sink": "→ 🦊 é", "said": f"{EVIL}\x7f"}
    for print_it in (print_json, print_json_line):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        print_it(value)
        sys.stdout.flush()
        text = raw.getvalue().decode(encoding)
        assert json.loads(text) == value
        assert all(printable(line) == line for line in text.replace("\r", "").split("\n"))


def test_a_line_is_one_line_whatever_stands_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo", "three")
    assert capsys.readouterr().out == "one\\ntwo\nthree\n"


def test_nothing_is_printed_but_by_those_who_escape() -> None:
    ours = {
        "output.py",
        "report.py",
        "scenario.py",
        "stepping.py",
    }  # two print bytes for files, one has escaped
    for path in (ROOT / "syncfsm" / "cli").rglob("*.py"):
        is_ours = path.name in ours or path.parts[-2:] == ("cli", "__init__.py")
        assert is_ours or "click.echo(" not in path.read_text(), path
