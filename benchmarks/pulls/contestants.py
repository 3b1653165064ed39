"""Who pulls: the command of each, and who is in its result."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks.pulls.environments import PEERS, python_of, version_of
from benchmarks.pulls.running import SYNCFSM

Got = Counter[str]
"""The ids of the people in a result, and how often each is there."""


class Contestant(msgspec.Struct, frozen=True):
    """Somebody who pulls all people into a folder.

    Attributes:
        name: What tables call it.
        version: The version of its package; empty for this library.
        command: Makes the command from the URL, the page size and the folder.
        got: Reads who is in the result, from the folder.
    """

    name: str
    version: str
    command: Callable[[str, int, Path], list[str]]
    got: Callable[[Path], Got]


def ours(name: str = "syncfsm", *options: str) -> Contestant:
    """Return the command `syncfsm sync` with some options, else as it is by default."""

    def command(url: str, page_size: int, _folder: Path) -> list[str]:
        sync = [SYNCFSM, "sync", "--source", "attio", "--json"]
        where = ["--base-url", url, "--sink", "sqlite:contacts.db", "--log", "sync.db"]
        return [*sync, *where, "--page-size", str(page_size), *options]

    return Contestant(name, "", command, _rows("contacts.db", "SELECT external_id FROM contacts"))


def confirming() -> Contestant:
    """Return this library, embedded, told that the source may cut its pages."""
    program = str(PEERS / "with_confirm_end.py")

    def command(url: str, page_size: int, folder: Path) -> list[str]:
        return [sys.executable, program, url, str(page_size), str(folder)]

    found = _rows("contacts.db", "SELECT external_id FROM contacts")
    return Contestant("syncfsm, confirm_end", "", command, found)


def peers() -> tuple[Contestant, ...]:
    """Return the others; their environments are made when their commands are asked for."""
    people = "SELECT json_extract(id, '$.record_id') FROM people"
    return (
        _peer("dlt", "dlt", "dlt", _rows("dlt.db", people)),
        _peer("Singer SDK", "singer", "singer-sdk", _lines(_singer_id)),
        _peer("Airbyte CDK", "airbyte", "airbyte-cdk", _lines(_airbyte_id)),
        bare_loop(),
    )


def bare_loop() -> Contestant:
    """Return the loop over httpx."""
    return _peer("httpx, 16 at once", "httpx", "httpx", _rows("httpx.db", "SELECT id FROM people"))


def _peer(name: str, environment: str, package: str, got: Callable[[Path], Got]) -> Contestant:
    def command(url: str, page_size: int, folder: Path) -> list[str]:
        program = str(PEERS / f"with_{environment}.py")
        return [str(python_of(environment)), program, url, str(page_size), str(folder)]

    return Contestant(name, version_of(environment, package), command, got)


def _rows(file: str, query: str) -> Callable[[Path], Got]:
    """Return what reads ids from a table; whoever failed early has no file or no table, and nobody in it."""

    def got(folder: Path) -> Got:
        try:
            with closing(sqlite3.connect(f"file:{folder / file}?mode=ro", uri=True)) as database:
                return Counter(id_ for (id_,) in database.execute(query))
        except sqlite3.OperationalError:
            return Counter()

    return got


def _lines(id_of: Callable[[dict], str | None]) -> Callable[[Path], Got]:
    """Return what reads ids from the JSON Lines on stdout."""

    def got(folder: Path) -> Got:
        with (folder / "out").open("rb") as lines:
            return Counter(filter(None, map(id_of, _objects(lines))))

    return got


def _objects(lines: Iterable[bytes]) -> Iterable[dict]:
    return (msgspec.json.decode(line) for line in lines if line.startswith(b"{"))


def _singer_id(message: dict) -> str | None:
    return message["record"]["record_id"] if message["type"] == "RECORD" else None


def _airbyte_id(message: dict) -> str | None:
    return message["record"]["data"]["id"]["record_id"] if message["type"] == "RECORD" else None
