"""Switching off any one safeguard makes the simulator find a violation within 200 seeds.

A safeguard that nothing misses when it is gone would be superfluous, or the simulator blind. The first seed
that missed it when it was last looked up is tried first; where that has lost its meaning, so are the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core.capture import Exchange
from syncfsm.core.endpoints import put_back
from syncfsm.core.events import Recorded
from syncfsm.core.failure import Failure
from syncfsm.core.paging import offsets, rows
from syncfsm.core.paging.pages import PageRequest, PageRule, Row
from syncfsm.core.paging.place import Frontier, Paging
from syncfsm.core.process import Process
from syncfsm.engine.perform import Performer
from syncfsm.errors import VersionConflict
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.log import codec
from syncfsm.log.checks import audit
from syncfsm.log.sqlite import events as sqlite_events
from syncfsm.log.sqlite.store import SqliteLog
from syncfsm.outside import http
from syncfsm.sinks import sqlite as sqlite_sink
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Page
from syncfsm_simulator.runs.sweep import sweep
from syncfsm_simulator.stage.scenario import load_scenario

SEEDS_MAX = 200
HOSTILE = load_scenario("hostile")

Patch = pytest.MonkeyPatch


def without_the_peek(patch: Patch) -> None:
    """A page is believed to begin with the peek, whatever it begins with."""
    sound = offsets._is_anchored

    def unchecked(paging: Paging, request: PageRequest, first: Row | None, rule: PageRule) -> bool:
        return paging.peek is not None or sound(paging, request, first, rule)

    patch.setattr(offsets, "_is_anchored", unchecked)


def without_the_step_back(patch: Patch) -> None:
    """A page that is not anchored is taken as it is."""
    patch.setattr(offsets, "_is_anchored", lambda *_: True)


def without_the_frontiers_ties(patch: Patch) -> None:
    """Whoever shares the frontier's key counts as seen."""

    def seen(row: Row, frontier: Frontier | None, rule: PageRule) -> bool:
        return frontier is not None and not rule.is_before(frontier.key, row.key)

    patch.setattr(rows, "is_seen", seen)


def without_the_idempotent_sink(patch: Patch) -> None:
    """What is given twice is kept twice."""
    schema = sqlite_sink._SCHEMA.replace("PRIMARY KEY (external_id, source)", "CHECK (1)")
    patch.setattr(sqlite_sink, "_SCHEMA", schema.replace(", WITHOUT ROWID", ""))
    patch.setattr(sqlite_sink, "_WRITE", sqlite_sink._WRITE.partition("ON CONFLICT")[0])
    patch.setattr(sqlite_sink, "_KNOWN", "SELECT 1 WHERE ? = ''")
    patch.setattr(sqlite_sink, "_is_ours", lambda _db: True)


def without_the_mark(patch: Patch) -> None:
    """A sink is believed to have what the log says that it has."""
    patch.setattr(SinkMarks, "lacks", lambda _marks, _process: False)


def without_the_look_for_an_empty_sink(patch: Patch) -> None:
    """A sink that has nothing is believed to have what the log says that it has."""

    async def no_loss(performer: Performer[Any], process: Process) -> Failure | None:
        return put_back(process.sink) if performer._marks.lacks(process) else None

    patch.setattr(Performer, "find_lost", no_loss)


def without_the_digest(patch: Patch) -> None:
    """Events are not chained."""
    for module in (audit, codec):
        patch.setattr(module, "chain", lambda _previous, _row: "")


def without_the_version_check(patch: Patch) -> None:
    """A worker that comes second appends all the same."""
    checked = SqliteLog.append

    def unchecked(
        log: SqliteLog,
        events: Sequence[Recorded],
        *,
        expected_version: int,
        after: Process,
        exchanges: Sequence[Exchange],
        notices: Sequence[int],
    ) -> None:
        try:
            checked(
                log,
                events,
                expected_version=expected_version,
                after=after,
                exchanges=exchanges,
                notices=notices,
            )
        except VersionConflict:
            current = log.load(after.id).version
            moved = [replace(event, version=event.version + current - expected_version) for event in events]
            checked(log, moved, expected_version=current, after=replace(after, version=moved[-1].version))

    patch.setattr(SqliteLog, "append", unchecked)


def without_the_wait(patch: Patch) -> None:
    """Everything is due at once."""
    patch.setattr("syncfsm.engine.engine.Engine._is_due", lambda _engine, _not_before: True)


def without_the_order_check(patch: Patch) -> None:
    """Rows are believed to come in the order asked for."""
    patch.setattr(offsets, "first_disorder", lambda _rows, _rule: None)


def without_the_confirmed_end(patch: Patch) -> None:
    """A short page is believed to be the last."""
    patch.setattr(offsets, "_may_go_on", lambda _rows, _fresh: False)


def without_the_care_for_ties(patch: Patch) -> None:
    """Ties are believed to come in a fixed order, whatever the source has seen."""
    fetch = AttioSource.fetch

    async def believing(source: AttioSource, request: PageRequest) -> Page | Failure:
        page = await fetch(source, request)
        return replace(page, is_total=True) if isinstance(page, Page) else page

    patch.setattr(AttioSource, "fetch", believing)


def without_the_redaction(patch: Patch) -> None:
    """What a server says goes into the log as it is."""
    patch.setattr(http, "without", lambda body, _secret: body)
    patch.setattr(http, "_code", bytes.decode)


def without_one_transaction(patch: Patch) -> None:
    """The read model is forgotten whenever a page is delivered."""
    patch.setattr(sqlite_events, "process_values", _stale(sqlite_events.process_values))


def _stale(values: Callable[[Process], tuple[Any, ...]]) -> Callable[[Process], tuple[Any, ...]]:
    def stale(process: Process) -> tuple[Any, ...]:
        kept = process if process.progress.pages == 0 else replace(process, progress=type(process.progress)())
        return values(kept)

    return stale


@pytest.mark.parametrize(
    ("sabotage", "seed", "found"),
    [
        (without_the_peek, 3, "nothing_lost"),
        (without_the_step_back, 3, "nothing_lost"),
        (without_the_frontiers_ties, 3, "nothing_lost"),
        (without_the_idempotent_sink, 3, "nothing_twice"),
        (without_the_mark, 26, "nothing_lost"),
        (without_the_look_for_an_empty_sink, 5, "it_ends"),
        (without_the_digest, 3, "tampering_shows"),
        (without_the_version_check, 5, None),
        (without_the_wait, 1, "retries_wait"),
        (without_the_order_check, 18, None),
        (without_the_confirmed_end, 14, "nothing_lost"),
        (without_the_care_for_ties, 91, "nothing_lost"),
        (without_the_redaction, 25, "no_secret_shows"),
        (without_one_transaction, 1, "log_is_sound"),
    ],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_a_safeguard_that_is_switched_off_is_missed(
    monkeypatch: Patch, sabotage: Callable[[Patch], None], seed: int, found: str | None
) -> None:
    sabotage(monkeypatch)
    seeds = sorted(range(1, SEEDS_MAX + 1), key=lambda each: each != seed)
    summary = sweep(HOSTILE, seeds, jobs=1, is_enough=lambda summary: bool(summary.failures))
    assert summary.failures, f"{SEEDS_MAX} seeds did not miss it"
    if found is not None:
        assert found in {violation.invariant for violation in summary.failures[0].violations}
