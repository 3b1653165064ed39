"""The benchmark runs, at a size that says nothing of speed; the peer's part where the peer is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contestant import Syncfsm
from benchmarks.turns import measure
from benchmarks.workload import WORKLOADS, appends, merged
from syncfsm.core.machine import State
from tests.postgres import GIVEN, server_url

ROOT = Path(__file__).parents[2]


class Forgetful(Syncfsm):
    def replay(self) -> int:
        return super().replay() - 1


def run(*options: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "--events", "20", "--turns", "1", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_what_is_measured_is_a_whole_sync_of_the_kind_that_is_named(workload: Any) -> None:
    written = list(appends(workload, 200))
    process = written[-1][1]
    types = [record.type for recorded, _ in written for record in recorded]
    assert process.state is State.COMPLETED
    assert 200 <= len(types) == process.version < 220
    assert process.progress.rejected == workload.rejects * process.progress.pages
    assert ("RetryScheduled" in types) == bool(workload.retry_every)
    ids = [
        id_
        for recorded, _ in written
        for record in recorded
        for id_ in getattr(record.event, "record_ids", ())
    ]
    assert {len(id_) for id_ in ids} == {36}
    assert len(set(ids)) == process.progress.fetched


def test_a_file_filled_at_once_holds_the_same_events() -> None:
    one_by_one = list(appends(WORKLOADS[0], 50))
    at_once = list(merged(one_by_one, 7))
    assert [r for recorded, _ in at_once for r in recorded] == [
        r for recorded, _ in one_by_one for r in recorded
    ]
    assert at_once[-1][1] == one_by_one[-1][1]


def test_our_own_part_runs_without_the_peer(tmp_path: Path) -> None:
    found = measure(WORKLOADS[2], [Syncfsm], tmp_path, events_min=20, turns=2)
    (ours,) = found.measured
    assert 20 <= found.events < 40
    assert 0 < ours.replay_events_per_s.least <= ours.replay_events_per_s.median


def test_a_contestant_that_sees_other_records_is_not_comparable(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="saw"):
        measure(WORKLOADS[0], [Forgetful], tmp_path, events_min=20, turns=1)


@pytest.mark.skipif(find_spec("eventsourcing") is None, reason="the peer is an extra: syncfsm[bench]")
def test_the_peers_replay_the_same_records() -> None:
    results = json.loads(run("--json"))["results"]
    names = [[one["name"] for one in result["measured"]] for result in results]
    assert (
        names
        == [["syncfsm", "syncfsm, synchronous=NORMAL", "eventsourcing, JSON", "eventsourcing, msgspec"]] * 3
    )


def test_a_person_gets_a_table() -> None:
    assert "pages of 50: 2" in run()


@pytest.mark.skipif(bool(GIVEN), reason="it makes schemas of its own")
def test_appends_to_a_server_are_measured_and_a_follower_misses_none() -> None:
    options = ("--appends", "20", "--writers", "2", "--seconds", "0.2")
    command = [sys.executable, "-m", "benchmarks.postgres", "--url", server_url(), *options]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "missed 0, out_of_turn 0" in out
    assert " times, one follower beside" in out


def test_the_benchmark_of_old_logs_asks_each_log_and_goes_on_with_it() -> None:
    sizes = ("--size", "5", "--size", "12", "--rounds", "1", "--turns", "1", "--json")
    command = [sys.executable, "-m", "benchmarks.old_logs", *sizes]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert set(found["cpu_ms"]) == {"ongoing", "ls", "explain", "top", "verify --tail", "verify"}
    assert all(set(ms) == {"5", "12"} for ms in found["cpu_ms"].values())
