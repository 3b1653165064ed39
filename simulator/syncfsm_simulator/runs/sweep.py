"""Many seeds: one run for each, over several processes, and what all of them reached together."""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from multiprocessing import get_context
from threading import current_thread, main_thread

import msgspec

from syncfsm.core.events import EVENT_TYPES
from syncfsm.core.machine import TRANSITIONS
from syncfsm.log import open_log
from syncfsm_simulator.runs.invariants import Violation, no_surprise
from syncfsm_simulator.runs.run import Verdict, simulate
from syncfsm_simulator.stage.effects.logs import APPEND
from syncfsm_simulator.stage.effects.moves import WORLD
from syncfsm_simulator.stage.effects.pages import LOOK_UP, PAGE
from syncfsm_simulator.stage.effects.requests import REQUEST, SCHEMA
from syncfsm_simulator.stage.effects.sinks import DELETE, LISTING, UPSERT
from syncfsm_simulator.stage.effects.sleeps import SLEEP
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.foreseen import surprise_words
from syncfsm_simulator.stage.scenario import Scenario

TWICE_EVERY = 25
"""Every so many seeds, one runs twice, to see that the same seed leaves the same log."""

PORTS = frozenset(
    port.name for port in (REQUEST, SCHEMA, PAGE, LOOK_UP, UPSERT, DELETE, LISTING, APPEND, SLEEP, WORLD)
)
"""The ports that a run passes: what webhooks tell of is put into its inbox with nothing going wrong."""

KINDS = tuple(fault.kind for fault in FAULTS if fault.port.name in PORTS)

EVENTS = tuple(name for name in EVENT_TYPES if name != "NothingNewFound")
"""What a run can record: it is a sync of all records, and only ongoing ones find nothing new."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed came to; small, since it travels between processes."""

    seed: int
    violations: list[Violation] = []
    faults: dict[str, int] = {}
    events: dict[str, int] = {}
    transitions: dict[str, int] = {}
    wall_s: float = 0.0


class Summary(msgspec.Struct, kw_only=True):
    """What many seeds came to, together.

    Attributes:
        seeds: How many ran.
        failures: Those that broke an invariant.
        faults: How often each kind of fault and move struck.
        events: How often each type of event was recorded.
        transitions: How often each row of the table of transitions was taken.
        is_interrupted: Whether somebody pressed Ctrl-C, or asked it to end, before all had run.
        slowest_seed: The seed that took longest, and `slowest_s` how long, seconds.
    """

    seeds: int = 0
    failures: list[Result] = msgspec.field(default_factory=list)
    faults: Counter[str] = msgspec.field(default_factory=lambda: Counter(dict.fromkeys(KINDS, 0)))
    events: Counter[str] = msgspec.field(default_factory=lambda: Counter(dict.fromkeys(EVENTS, 0)))
    transitions: Counter[str] = msgspec.field(
        default_factory=lambda: Counter({" ".join(row): 0 for row in TRANSITIONS if row[0] in EVENTS})
    )
    slowest_seed: int | None = None
    slowest_s: float = 0.0
    wall_s: float = 0.0
    is_interrupted: bool = False

    def add(self, result: Result) -> None:
        """Take a seed's result in."""
        self.seeds += 1
        self.faults.update(result.faults)
        self.events.update(result.events)
        self.transitions.update(result.transitions)
        if result.violations:
            self.failures.append(result)
        if result.wall_s > self.slowest_s:
            self.slowest_seed, self.slowest_s = result.seed, result.wall_s

    def unreached(self) -> list[str]:
        """Return the kinds of fault, types of event and transitions that no seed reached."""
        counters = (self.faults, self.events, self.transitions)
        return [name for counter in counters for name, count in counter.items() if not count]


def sweep(
    scenario: Scenario,
    seeds: Iterable[int],
    *,
    jobs: int,
    is_enough: Callable[[Summary], bool] = lambda _: False,
    on_result: Callable[[Result], None] = lambda _: None,
) -> Summary:
    """Run the seeds, `jobs` at a time, until there are no more or it is enough."""
    summary = Summary()
    began = time.perf_counter()
    results = _in_turn(scenario, seeds) if jobs == 1 else _side_by_side(scenario, seeds, jobs)
    try:
        with _terminated_as_interrupted():
            for result in results:
                summary.add(result)
                on_result(result)
                if is_enough(summary):
                    break
    except KeyboardInterrupt:
        summary.is_interrupted = True  # what has run is worth telling
    finally:
        results.close()
    summary.wall_s = time.perf_counter() - began
    return summary


def _in_turn(scenario: Scenario, seeds: Iterable[int]) -> Generator[Result, None, None]:
    for seed in seeds:
        yield run_seed(scenario, seed)


def _side_by_side(scenario: Scenario, seeds: Iterable[int], jobs: int) -> Generator[Result, None, None]:
    """Yield results as they come; a few seeds wait at any time, so that endless ones can be stopped."""
    coming = iter(seeds)
    with ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        initializer=_begin,
    ) as pool:
        try:
            pending: set[Future[Result]] = set()
            while True:
                wanted = islice(coming, jobs * 4 - len(pending))
                pending |= {pool.submit(run_seed, scenario, seed) for seed in wanted}
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Leave the signals that reach every process of a group to the one that sums up.

    What is loaded stays: the collector need not look through every module again and again.
    """
    gc.freeze()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let a request to end be what Ctrl-C is, where this thread may say so."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_seed(scenario: Scenario, seed: int) -> Result:
    """Run one seed with a log in memory. Whatever goes wrong in the run is a violation too."""
    try:
        verdict, content = _run(scenario, seed)
    except Exception as error:  # noqa: BLE001 - whatever it is, this seed found it
        return Result(seed=seed, violations=[_surprise(error)])
    violations = list(verdict.violations)
    if seed % TWICE_EVERY == 0 and _run(scenario, seed)[1] != content:
        violations.append(
            Violation(
                invariant="same_seed_same_log",
                means="The same seed leaves the same log, byte for byte.",
                seen="two runs left different ones",
            )
        )
    return Result(
        seed=seed,
        violations=violations,
        faults=verdict.faults,
        events=verdict.events,
        transitions=verdict.transitions,
        wall_s=verdict.wall_s,
    )


def _run(scenario: Scenario, seed: int) -> tuple[Verdict, str]:
    """Return the verdict, and a digest of all that the log holds."""
    with open_log(":memory:") as log:
        verdict = simulate(scenario, seed, log)
        digest = blake2b(digest_size=16)
        for row in log.stored_events():
            digest.update(msgspec.json.encode(row))
        return verdict, digest.hexdigest()


def _surprise(error: Exception) -> Violation:
    means = (no_surprise.__doc__ or "").strip()
    return Violation(invariant=no_surprise.__name__, means=means, seen=surprise_words(error))
