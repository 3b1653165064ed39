"""Measuring in turns: A B C, A B C, so that a machine that is slow for a while is slow for all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import msgspec

from benchmarks.contestant import Contestant
from benchmarks.workload import Append, Workload, appends, merged
from syncfsm.events import Value

APPENDS_MAX = 300
"""Appends that are measured: each waits for the disk, so that those of a whole sync would take minutes."""


class Spent(Value, frozen=True):
    """The time that something took, and that the processor worked on it."""

    wall_s: float
    cpu_s: float


class Spread(Value, frozen=True):
    """The median of what was measured, and between which values it lies."""

    median: float
    least: float
    most: float


class Measured(Value, frozen=True):
    """What one contestant did. A second of CPU is the fairer measure where others use the machine, too."""

    name: str
    append_events_per_s: Spread
    replay_events_per_s: Spread
    replay_events_per_cpu_s: Spread
    first_state_ms: Spread


class Result(Value, frozen=True):
    """One workload. `bytes_per_event` are those of the events' data as JSON."""

    workload: str
    events: int
    bytes_per_event: int
    records: int
    measured: tuple[Measured, ...]


def measure(
    workload: Workload, contestants: Sequence[type[Contestant]], folder: Path, *, events_min: int, turns: int
) -> Result:
    """Return what the contestants did with one kind of sync, in the order in which they are given.

    Raises:
        AssertionError: One of them does not see all the records, so that it would not be comparable.
    """
    written = list(appends(workload, events_min))
    events, records = written[-1][1].version, written[-1][1].progress.fetched
    data_bytes = sum(len(msgspec.json.encode(record.event)) for recorded, _ in written for record in recorded)
    stores = [_made(contestant, folder / str(index)) for index, contestant in enumerate(contestants)]
    for store in stores:
        store.write(merged(written, 500))
    appends_ = _appends_in_turns(contestants, written[:APPENDS_MAX], folder, turns)
    del written
    replays = _in_turns([store.replay for store in stores], records, turns)
    loads = _in_turns([store.first_state for store in stores], records, turns)
    for store in stores:
        store.close()
    return Result(
        workload=workload.name,
        events=events,
        bytes_per_event=data_bytes // events,
        records=records,
        measured=tuple(
            Measured(
                name=store.name,
                append_events_per_s=_spread(append),
                replay_events_per_s=_spread([events / one.wall_s for one in replayed]),
                replay_events_per_cpu_s=_spread([events / one.cpu_s for one in replayed]),
                first_state_ms=_spread([one.wall_s * 1000 for one in loaded]),
            )
            for store, append, replayed, loaded in zip(stores, appends_, replays, loads, strict=True)
        ),
    )


def _made(contestant: type[Contestant], folder: Path) -> Contestant:
    folder.mkdir()
    return contestant(folder)


def _appends_in_turns(
    contestants: Sequence[type[Contestant]], some: Sequence[Append], folder: Path, turns: int
) -> list[list[float]]:
    """Return the events that each contestant appended per second, in each of the turns, to a new file."""
    events = sum(len(recorded) for recorded, _ in some)
    rates: list[list[float]] = [[] for _ in contestants]
    for turn in range(turns):
        for index, contestant in enumerate(contestants):
            store = _made(contestant, folder / f"{index}-{turn}")
            rates[index].append(events / store.write(some))
            store.close()
    return rates


def _in_turns(calls: Sequence[Callable[[], int]], expected: int, turns: int) -> list[list[Spent]]:
    """Return the time that each call took in each of the turns."""
    spent: list[list[Spent]] = [[] for _ in calls]
    for _ in range(turns):
        for call, times in zip(calls, spent, strict=True):
            gc.collect()
            wall_s, cpu_s = perf_counter(), process_time()
            answer = call()
            times.append(Spent(wall_s=perf_counter() - wall_s, cpu_s=process_time() - cpu_s))
            assert answer == expected, f"{call} saw {answer} records of {expected}"
    return spent


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=median(values), least=min(values), most=max(values))
