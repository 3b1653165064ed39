"""Switching off any one safeguard makes the simulator find a violation within 200 seeds.

A safeguard that nothing misses when it is gone would be superfluous, or the simulator blind. The first seed
that missed it when it was last looked up is tried first; where that has lost its meaning, so are the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from syncfsm.core import outcomes
from syncfsm.core.capture import Exchange
from syncfsm.core.events import Recorded
from syncfsm.core.failure import Failure
from syncfsm.core.paging import by_id, offsets, rows
from syncfsm.core.paging.pages import PageRequest, PageRule, Row
from syncfsm.core.paging.place import Frontier, Paging
from syncfsm.core.process import Process
from syncfsm.engine import perform, processes, waits
from syncfsm.engine.perform import Performer
from syncfsm.errors import VersionConflict
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.items.contact import Contact
from syncfsm.log import codec
from syncfsm.log.checks import audit
from syncfsm.log.sqlite import events as sqlite_events
from syncfsm.log.sqlite.store import SqliteLog
from syncfsm.outside import decoding, http
from syncfsm.outside.clock import SteadyClock
from syncfsm.sinks import sqlite as sqlite_sink
from syncfsm.sinks import sqlite_table
from syncfsm.sources.attio import companies, people, source, wire
from syncfsm.sources.attio.attributes import Ask
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Page
from syncfsm_simulator.runs.sweep import sweep
from syncfsm_simulator.stage.scenario import load_scenario

SEEDS_MAX = 200
HOSTILE = load_scenario("hostile")

Patch = pytest.MonkeyPatch


def without_the_peek(patch: Patch) -> None:
    """A page is believed to begin with the peek, whatever it begins with."""
    sound = offsets.is_anchored

    def unchecked(paging: Paging, request: PageRequest, first: Row | None, rule: PageRule) -> bool:
        return paging.peek is not None or sound(paging, request, first, rule)

    patch.setattr(offsets, "is_anchored", unchecked)


def without_the_step_back(patch: Patch) -> None:
    """A page that is not anchored is taken as it is."""
    patch.setattr(offsets, "is_anchored", lambda *_: True)


def without_the_frontiers_ties(patch: Patch) -> None:
    """Whoever shares the frontier's key counts as seen."""

    def seen(row: Row, frontier: Frontier | None, rule: PageRule) -> bool:
        return frontier is not None and not rule.is_before(frontier.key, row.key)

    patch.setattr(rows, "is_seen", seen)


def without_the_idempotent_sink(patch: Patch) -> None:
    """What is given twice is kept twice."""
    schema = sqlite_table._SCHEMA.replace("PRIMARY KEY (external_id, source)", "CHECK (1)")
    patch.setattr(sqlite_table, "_SCHEMA", schema.replace(", WITHOUT ROWID", ""))
    patch.setattr(sqlite_sink, "_WRITE", sqlite_sink._WRITE.partition("ON CONFLICT")[0])
    patch.setattr(sqlite_sink, "_KNOWN", "SELECT 1 WHERE ? = '' AND ? = ''")
    patch.setattr(sqlite_sink, "is_ours", lambda _db: True)


def without_the_mark(patch: Patch) -> None:
    """A sink is believed to have what the log says that it has."""
    patch.setattr(SinkMarks, "lacks", lambda _marks, _process: False)


def without_the_look_for_an_empty_sink(patch: Patch) -> None:
    """A sink without marks that has nothing is believed to have what the log says that it has."""

    async def no_loss(_performer: Performer[Any], _process: Process) -> Failure | None:
        return None

    patch.setattr(sqlite_sink.SqliteSink, "set_mark", None)
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
    patch.setattr("syncfsm.engine.engine.Engine._is_due", lambda _engine, _process: True)


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


def without_the_unknown(patch: Patch) -> None:
    """What a record does not tell is believed to be empty."""
    make = people.AttioPeople._partly

    def believed(transform: people.AttioPeople, record_id: str, fields: dict[str, Any]) -> Contact:
        return replace(make(transform, record_id, fields), unknown=frozenset())

    patch.setattr(people.AttioPeople, "_partly", believed)


def without_a_second_look_up(patch: Patch) -> None:
    """A company that does not come is believed to be gone."""
    patch.setattr(companies, "SINGLY_MAX", 0)

    async def believing(ask: Ask, record_ids: Collection[str]) -> companies.Names | Failure:
        names = await companies.look_up(ask, record_ids)
        return names if isinstance(names, Failure) else dict.fromkeys(record_ids) | names

    patch.setattr(source, "look_up", believing)


def without_the_gate(patch: Patch) -> None:
    """What a decoder raises is not told apart."""
    patch.setattr(decoding.Decoder, "decode", lambda decoder, data: decoder._decoder.decode(data))


def without_the_care_for_mistakes(patch: Patch) -> None:
    """What somebody's own code raises goes on up."""

    async def attempted(_performer: Performer[Any], _name: str, doing: Awaitable[Any]) -> Any:
        return await doing

    patch.setattr(Performer, "_attempted", attempted)


def without_the_silence_about_errors(patch: Patch) -> None:
    """An error is recorded with what it says."""
    patch.setattr(perform, "raised_words", lambda whose, error: f"{whose} raised {error!r}")


def without_the_proof_that_somebody_is_gone(patch: Patch) -> None:
    """A page that is short for a moment is the end, and whoever no page had is not asked for by id."""
    fetch = AttioSource.fetch

    async def believing(source: AttioSource, request: PageRequest) -> Page | Failure:
        page = await fetch(source, request)
        is_missing = bool(request.record_ids) and not request.singly_max
        return replace(page, records=()) if isinstance(page, Page) and is_missing else page

    patch.setattr(AttioSource, "fetch", believing)
    patch.setattr(offsets, "_is_end", lambda *_: True)


def without_the_word_of_a_webhook(patch: Patch) -> None:
    """Whoever a webhook told of and does not come is gone, whatever it said of them."""

    async def as_it_came(page: Page | Failure, *_: object) -> Page | Failure:
        return page

    patch.setattr("syncfsm.sources.attio.source.with_single_records", as_it_came)
    patch.setattr(by_id, "gone_of", lambda missing, _came, _told, _not_found: frozenset(missing))


def without_one_transaction(patch: Patch) -> None:
    """The read model is forgotten whenever a page is delivered."""
    patch.setattr(sqlite_events, "process_values", _stale(sqlite_events.process_values))


def _stale(values: Callable[[Process], tuple[Any, ...]]) -> Callable[[Process], tuple[Any, ...]]:
    def stale(process: Process) -> tuple[Any, ...]:
        kept = process if process.progress.pages == 0 else replace(process, progress=type(process.progress)())
        return values(kept)

    return stale


def without_the_steady_clock(patch: Patch) -> None:
    """Waits and rate limits go by the time of day."""
    patch.setattr(SteadyClock, "now", lambda clock: clock._clock.now())


def without_the_bound_of_a_wait(patch: Patch) -> None:
    """A wait that is found in the log lasts until its moment, whenever that is."""
    patch.setattr(waits, "left_s", lambda retry_at, _decided_at, now: (retry_at - now).total_seconds())


def without_the_wait_of_a_failure(patch: Patch) -> None:
    """A sync that failed since it was told to wait goes on at once."""
    patch.setattr(processes, "put_off_s", lambda _process, _now: 0.0)


def without_patience(patch: Patch) -> None:
    """A wait that is asked for is cut to what one wait may be, as if the source had said so."""
    patch.setattr(outcomes, "asks_too_much", lambda _retry_after_s, _options: None)
    patch.setattr(http.HttpClient, "_put_off", lambda _client: None)


def without_the_deadline(patch: Patch) -> None:
    """An answer may take as long as it likes."""
    patch.setattr(http.HttpClient, "heed", lambda client, _options: setattr(client, "_request_s_max", None))


def without_the_servers_clock(patch: Patch) -> None:
    """A page is of the moment that it says, or that our clock shows."""
    patch.setattr(source, "accurate_at", lambda said, _sent_at: wire.accurate_at(said, None))
    patch.setattr(perform, "believed", lambda page, _now: page.as_of)


@pytest.mark.parametrize(
    ("sabotage", "seed", "found"),
    [
        (without_the_peek, 3, "nothing_lost"),
        (without_the_step_back, 3, "nothing_lost"),
        (without_the_frontiers_ties, 3, "nothing_lost"),
        (without_the_idempotent_sink, 3, "nothing_twice"),
        (without_the_mark, 26, "nothing_lost"),
        (without_the_look_for_an_empty_sink, 26, "nothing_lost"),
        (without_the_digest, 3, "tampering_shows"),
        (without_the_version_check, 5, None),
        (without_the_wait, 1, "retries_wait"),
        (without_the_order_check, 18, None),
        (without_the_confirmed_end, 56, "nothing_lost"),
        (without_the_care_for_ties, 83, "nothing_lost"),
        (without_the_redaction, 25, "no_secret_shows"),
        (without_one_transaction, 1, "log_is_sound"),
        (without_the_unknown, 58, "no_field_blanked"),
        (without_a_second_look_up, 3, "companies_are_named"),
        (without_the_gate, 3, "no_surprise"),
        (without_the_care_for_mistakes, 3, "no_surprise"),
        (without_the_silence_about_errors, 3, "nobody_is_quoted"),
        (without_the_proof_that_somebody_is_gone, 75, "nobody_alive_is_deleted"),
        (without_the_word_of_a_webhook, 111, "nobody_alive_is_deleted"),
        (without_the_steady_clock, 31, None),
        (without_the_bound_of_a_wait, 118, "sleeps_are_decided"),
        (without_the_wait_of_a_failure, 1, "retries_wait"),
        (without_patience, 5, "servers_are_heeded"),
        (without_the_deadline, 19, "requests_are_bounded"),
        (without_the_servers_clock, 31, "watermarks_are_past"),
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
