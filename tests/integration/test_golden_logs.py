"""Logs that older code wrote: today's code must read them, agree with them, and finish what is unfinished."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.decide import FinishSync
from syncfsm.core.events import EVENT_TYPES
from syncfsm.core.machine import State
from syncfsm.core.process import _EVOLVE, Process
from syncfsm.engine.engine import Engine
from syncfsm.explain import explain, lines
from syncfsm.history.replay import moments
from syncfsm.log import open_log
from syncfsm.log.checks.rules import check
from syncfsm.log.checks.verify import verify
from tests.fakes import DictSink, ListSource, TestClock, to_items

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.sql"))


def restored(path: Path, folder: Path) -> Path:
    """Return the log that was dumped, as the file it was."""
    target = folder / f"{path.stem}.db"
    with sqlite3.connect(target) as connection:
        connection.executescript(path.read_text(encoding="utf-8"))
    connection.close()
    return target


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request: Any, tmp_path: Path) -> Path:
    return restored(request.param, tmp_path)


def test_every_type_of_event_in_every_schema_it_ever_had_is_in_a_golden_log(tmp_path: Path) -> None:
    found = set()
    for path in GOLDEN:
        with sqlite3.connect(restored(path, tmp_path)) as connection:
            found |= set(connection.execute("SELECT DISTINCT type, schema FROM events"))
        connection.close()
    wanted = {(name, schema) for name, cls in EVENT_TYPES.items() for schema in range(1, cls.schema + 1)}
    assert wanted - found == set(), "write one with `python -m tests.golden.write schema-N`"


def test_a_golden_log_is_what_was_written_and_todays_rules_would_have_written_it(golden: Path) -> None:
    with open_log(golden, read_only=True) as log:
        (count, broken), (_, misfits) = verify(log), check(log)
    assert count > 100
    assert broken == []
    assert misfits == []


def test_every_process_folds_to_the_state_that_the_code_of_its_time_believed(golden: Path) -> None:
    with sqlite3.connect(golden) as connection:
        believed = {row[0]: row[1:] for row in connection.execute("SELECT id, state, version FROM processes")}
    connection.close()
    with open_log(golden) as log:
        for process_id in log.ids():
            *_, last = moments(log, process_id)
            assert (last.after.state.value, last.after.version) == believed[process_id]
            assert lines(explain(log, process_id, "golden.db"))
    assert {state for state, _ in believed.values()} == {state.value for state in State} - {State.NONE.value}


@pytest.mark.parametrize("name", ["initializing", "fetching", "failed"])
def test_what_older_code_left_unfinished_is_finished_by_todays(golden: Path, name: str) -> None:
    source, sink, clock = ListSource(TestClock(), 45), DictSink(), TestClock()
    source.name = name
    with open_log(golden) as log:
        engine = Engine(log, source, sink, to_items, clock=clock, rng=random.Random(1))
        unfinished = engine.unfinished()
        assert unfinished is not None
        process = asyncio.run(engine.sync(page_size=10))
        assert (process.id, process.state, process.progress.fetched) == (unfinished.id, State.COMPLETED, 45)
        assert (verify(log)[1], check(log)[1]) == ([], [])


def _one_row_further(process: Process, event: e.PageDelivered) -> Process:
    moved = _EVOLVE[e.PageDelivered](process, event)
    return replace(moved, paging=replace(moved.paging, offset=moved.paging.offset + 1))


def test_a_change_of_the_fold_that_would_strand_running_syncs_is_seen(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evolve = {**_EVOLVE, e.PageDelivered: _one_row_further}
    monkeypatch.setattr("syncfsm.core.process._EVOLVE", evolve)
    with open_log(golden, read_only=True) as log:
        _, misfits = check(log)
    assert "was due" in misfits[0].problem


def test_a_change_of_what_is_due_is_seen(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = FinishSync(not_before=None)
    monkeypatch.setattr("syncfsm.core.decide.next_action", lambda _process: finish)
    with open_log(golden, read_only=True) as log:
        _, misfits = check(log)
    second = next(misfit for misfit in misfits if misfit.version == 2)
    assert "cannot come of what was due: finish" in second.problem
