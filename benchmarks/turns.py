"""Measuring in turns: A B C, A B C, so that a machine that is slow for a while is slow for all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import click
import msgspec

from benchmarks.contestant import Contestant, Syncfsm, SyncfsmNormal
from benchmarks.workload import WORKLOADS, Append, Workload, appends, merged
from syncfsm.core.value import Value

TURNS = {"quick": 3, "full": 5}
"""Times that each contestant is measured, by the size of the whole."""

APPENDS_MAX = 300
"""Appends that are measured: each waits for the disk, so that those of a whole sync would take minutes."""


class Filled(Value, frozen=True):
    """The size of a sync: its events, the records they are about, and the data of the events as JSON."""

    events: int
    records: int
    data_bytes: int


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


def all_measured(*, events_min: int, turns: int) -> Iterator[Result]:
    """Yield what everybody who is installed did, for each kind of sync."""
    for workload in WORKLOADS:
        with TemporaryDirectory() as folder:
            yield measure(workload, _contestants(), Path(folder), events_min=events_min, turns=turns)


def _contestants() -> tuple[type[Contestant], ...]:
    if find_spec("eventsourcing") is None:
        click.echo("without its peer, which is not installed: pip install 'syncfsm[bench]'", err=True)
        return (Syncfsm, SyncfsmNormal)
    return (Syncfsm, SyncfsmNormal, *import_module("benchmarks.peer").PEERS)


def measure(
    workload: Workload, contestants: Sequence[type[Contestant]], folder: Path, *, events_min: int, turns: int
) -> Result:
    """Return what the contestants did with one kind of sync, in the order in which they are given.

    Raises:
        AssertionError: One of them does not see all the records, so that it would not be comparable.
    """
    folders = [folder / str(index) for index, _ in enumerate(contestants)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        sync = elsewhere.submit(fill, workload, contestants, folders, events_min).result()
    some = list(islice(appends(workload, events_min), APPENDS_MAX))
    appended = _appends_in_turns(contestants, some, folder, turns)
    stores = [contestant(path) for contestant, path in zip(contestants, folders, strict=True)]
    replays = _in_turns([store.replay for store in stores], sync.records, turns)
    loads = _in_turns([store.first_state for store in stores], sync.records, turns)
    for store in stores:
        store.close()
    return Result(
        workload=workload.name,
        events=sync.events,
        bytes_per_event=sync.data_bytes // sync.events,
        records=sync.records,
        measured=tuple(
            Measured(
                name=store.name,
                append_events_per_s=spread(append),
                replay_events_per_s=spread([sync.events / one.wall_s for one in replayed]),
                replay_events_per_cpu_s=spread([sync.events / one.cpu_s for one in replayed]),
                first_state_ms=spread([one.wall_s * 1000 for one in loaded]),
            )
            for store, append, replayed, loaded in zip(stores, appended, replays, loads, strict=True)
        ),
    )


def fill(
    workload: Workload, contestants: Sequence[type[Contestant]], folders: Sequence[Path], events_min: int
) -> Filled:
    """Make the files that are read, in a process of its own: a replay begins with a memory that is new."""
    written = list(appends(workload, events_min))
    for contestant, path in zip(contestants, folders, strict=True):
        store = _made(contestant, path)
        store.write(merged(written, 500))
        store.close()
    data = (msgspec.json.encode(record.event) for recorded, _ in written for record in recorded)
    _, after = written[-1]
    return Filled(events=after.version, records=after.progress.fetched, data_bytes=sum(map(len, data)))


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


def spread(values: Iterable[float]) -> Spread:
    """Return the median of some values, the least and the most."""
    values = sorted(values)
    return Spread(median=median(values), least=values[0], most=values[-1])
