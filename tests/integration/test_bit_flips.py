"""Flip any one bit of any event in a log's file: `log verify` finds it and names the event.

So it does where the inbox and the captures are hit, whose rows have checksums of their own.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from syncfsm.cli import main
from syncfsm.core.capture import Exchange
from syncfsm.core.notices import Notice
from syncfsm.engine.commit import commit
from syncfsm.log import open_log
from syncfsm.log.protocol import StoredEvent
from tests.busy import a_busy_log
from tests.cells import places_of_events, places_of_rows
from tests.contracts.event_log import STARTED, add
from tests.pure import EPOCH

FLIPS = 200
FLIPS_BESIDE = 100


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpointed log: three interleaved processes, small pages and large ones, events of every type."""
    return a_busy_log(tmp_path_factory.mktemp("sound") / "log.db")


def verified(path: Path) -> list[dict[str, Any]]:
    """Return what the real command finds."""
    done = CliRunner().invoke(main, ["log", "verify", str(path), "--json"])
    answer = json.loads(done.stdout)
    assert done.exit_code == (3 if answer["findings"] else 0), done.output
    findings: list[dict[str, Any]] = answer["findings"]
    return findings


def rows_of(path: Path) -> list[StoredEvent]:
    with open_log(path, read_only=True) as log:
        return list(log.stored_events())


def names(finding: dict[str, Any], row: StoredEvent) -> bool:
    """Whether a finding is about this event."""
    if finding["position"] != row.position:
        return False
    return finding["process"] is None or (finding["process"], finding["version"]) == (row.stream, row.version)


def test_any_one_bit_of_any_event_shows_and_names_its_event(sound: Path, tmp_path: Path) -> None:
    places, rows = places_of_events(sound), rows_of(sound)
    assert sorted(places) == [row.position for row in rows]
    assert verified(sound) == []
    chance = random.Random(20)
    path = tmp_path / "flipped.db"
    found = 0
    for _ in range(FLIPS):
        row = chance.choice(rows)
        place, bit = chance.choice(places[row.position]), chance.randrange(8)
        data = bytearray(sound.read_bytes())
        data[place] ^= 1 << bit
        path.write_bytes(data)
        findings = verified(path)
        assert findings, f"bit {bit} of byte {place}, in position {row.position}, went unnoticed"
        assert names(findings[0], row), f"bit {bit} of byte {place}, in {row}: {findings}"
        assert len(findings) <= 3, findings
        found += 1
    assert found == FLIPS


def test_every_bit_of_what_says_how_a_large_event_is_stored_shows(sound: Path, tmp_path: Path) -> None:
    """The sizes and types before it, and the links between its pages: SQLite passes over some of them."""
    rows, places = rows_of(sound), places_of_events(sound)
    row = max(rows, key=lambda row: len(places[row.position]))
    links = [place for place in places[row.position] if place % 4096 < 4]
    assert len(links) >= 8
    path = tmp_path / "flipped.db"
    for place in [*places[row.position][:16], *links]:
        for bit in range(8):
            data = bytearray(sound.read_bytes())
            data[place] ^= 1 << bit
            path.write_bytes(data)
            findings = verified(path)
            assert findings, (place, bit)
            assert names(findings[0], row), (place, bit, findings)


@pytest.fixture(scope="module")
def with_rows_beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with notices, of which a process has taken some, and with answers kept, small and large ones."""
    path = tmp_path_factory.mktemp("beside") / "log.db"
    chance = random.Random(4)
    with open_log(path) as log:
        for number in range(40):
            key = f"k{number}" if number % 3 else None
            ids = tuple(f"r{number}-{index}" for index in range(1 + number % 7))
            log.receive(Notice(source="attio", object="people", key=key, record_ids=ids, received_at=EPOCH))
        told = replace(STARTED, mode="webhook", record_ids=("r0-0",))
        commit(log, None, "p1", (told,), at=EPOCH, notices=log.waiting("attio", "people").notices[:9])
        kept = [
            Exchange(request=f"POST /{size}", as_of="", body=chance.randbytes(size))
            for size in (10, 200, 3000, 9000, 30_000)
        ]
        add(log, None, replace(STARTED, object="companies"), process_id="p2", exchanges=kept)
    return path


@pytest.mark.parametrize(("table", "words"), [("inbox", "of the inbox"), ("captures", "of the captures")])
def test_any_one_bit_of_any_notice_and_of_any_capture_shows_and_names_its_row(
    with_rows_beside: Path, tmp_path: Path, table: str, words: str
) -> None:
    places = places_of_rows(with_rows_beside, table)
    sound = with_rows_beside.read_bytes()
    assert verified(with_rows_beside) == []
    chance = random.Random(20)
    path = tmp_path / "flipped.db"
    for _ in range(FLIPS_BESIDE):
        row = chance.choice(list(places))
        place, bit = chance.choice(places[row]), chance.randrange(8)
        data = bytearray(sound)
        data[place] ^= 1 << bit
        path.write_bytes(data)
        problems = [finding["problem"] for finding in verified(path)]
        assert problems, f"bit {bit} of byte {place}, in row {row}, went unnoticed"
        assert any(words in problem for problem in problems), (row, place, bit, problems)
