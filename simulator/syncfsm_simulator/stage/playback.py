"""The stage for an incident: the real engine and log, between a source and a sink that keep to a script.

Failures come as the source, the transform or the sink would have returned them, so that the engine's own
rules decide what comes of them: a limit that is raised, or a step that is deleted, makes a difference.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import cast

from syncfsm.core.backoff import RETRY_AFTER_JITTER_S
from syncfsm.core.events import Recorded
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.machine import State
from syncfsm.core.options import Options, Order
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.core.starts import started
from syncfsm.engine.commit import Hook, cancel, commit
from syncfsm.engine.engine import Engine
from syncfsm.items.contact import Contact
from syncfsm.log import EventLog
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.sqlite import SqliteSink
from syncfsm.sources.protocol import Page, Record, Transformed
from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.effects.sinks import with_refused
from syncfsm_simulator.stage.engines import Engines
from syncfsm_simulator.stage.faults import Strike, no_faults
from syncfsm_simulator.stage.faulty_ports import FaultyLog
from syncfsm_simulator.stage.foreseen import SCRIPTED
from syncfsm_simulator.stage.incident import ActionPoint, Incident, Script, Step
from syncfsm_simulator.stage.network import Asked
from syncfsm_simulator.stage.port import Crash
from syncfsm_simulator.stage.rows import Rows, person
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.stage.set_up import SOURCE
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World

PARENT = "the-sync-they-are-of"
"""What a retry of rejects calls the sync that it is for."""

STATUS = {FailureKind.RATE_LIMITED: 429, FailureKind.UNAVAILABLE: 503, FailureKind.UNAUTHORIZED: 401}


class Ended(BaseException):
    """The script ends here, and leaves the sync active."""


class Chance(random.Random):
    """Chance, of which the next number can be set: so a wait comes out as it did."""

    def __init__(self, seed: int) -> None:
        super().__init__(f"{seed}:incident")
        self.coming: float | None = None

    def random(self) -> float:
        """Return the number that was set, once; then any in [0, 1)."""
        coming, self.coming = self.coming, None
        return super().random() if coming is None else coming


def failure_of(step: Step, options: Options) -> tuple[Failure, float | None]:
    """Return the failure of a step, and the chance with which its wait comes out as `wait_s`."""
    kind = cast("FailureKind", step.fails)
    words = f"{SCRIPTED} ({kind.value})."
    over_s = max(0.0, (step.wait_s or 0.0) - options.wait_s_max)
    is_jitter = over_s <= RETRY_AFTER_JITTER_S  # and no more than a wait may be: see `asks_too_much`
    asked_s = step.wait_s if step.wait_s is None or not is_jitter else min(step.wait_s, options.wait_s_max)
    failure = Failure(kind=kind, message=words, status=STATUS.get(kind), retry_after_s=asked_s)
    chance = min(over_s / RETRY_AFTER_JITTER_S, 1 - 1e-9) if is_jitter else 0.0
    return failure, chance if step.wait_s else None


class Playback(Engines):
    """Everything around the engine, by script. Use within `run_virtual`.

    Args:
        scenario: One with an incident.
        log: Where the events go.
        contacts: Where the people go.
        hooks: Called after each event.

    Attributes:
        rows: The people.
        script: What has struck.
        refused_by_sink: The ids of people whom the sink refused.
    """

    final = frozenset({State.COMPLETED, State.CANCELLED})

    def __init__(
        self, scenario: Scenario, log: EventLog, contacts: SqliteSink, hooks: Sequence[Hook] = ()
    ) -> None:
        assert scenario.incident is not None, "another scenario is for the other stage"
        super().__init__(scenario)
        self.incident: Incident = scenario.incident
        self.world = World(scenario.seed, people=0, now=EPOCH)  # without anybody, for what asks for one
        self.rows = Rows(scenario.people, scenario.order, scenario.limit_max)
        self.script = Script(self.incident.steps)
        self.refused_by_sink: set[str] = set()
        self.chance = Chance(scenario.seed)
        self._process: Process | None = None
        self._resumption: Step | None = None
        self._has_ended = False
        self._log = cast("EventLog", FaultyLog(log, no_faults(), self.timeline.append))
        self._contacts = contacts
        self._hooks = [*hooks, self._follow]

    @property
    def process(self) -> Process:
        """The sync, as its last event left it."""
        assert self._process is not None, "the first event is recorded before anything is asked"
        return self._process

    @property
    def unnamed(self) -> set[str]:
        """The ids of people whose row came without its id."""
        return self.rows.unnamed

    @property
    def refused(self) -> set[str]:
        """The ids of people whom the sink refused, or who came malformed."""
        return self.refused_by_sink | self.rows.undecoded

    def touched(self) -> Changes:
        """Return whom the moving rows have touched; nobody has values to compare, so all of them count."""
        changes = Changes(self.world, self.clock, peek=lambda: None, page_size=1)
        changes.at_start = frozenset() if self.incident.mode == "rejects" else self.rows.at_start
        changes.deleted = self.rows.deleted
        changes.updated = set(changes.at_start)
        changes.counts = Counter(created=self.rows.came, updated=0, deleted=len(self.rows.deleted))
        return changes

    def counts(self) -> Counter[str]:
        """Return how often what was taken from the script."""
        return Counter(name for step in self.script.taken for name in step.names())

    def strikes(self) -> tuple[Strike, ...]:
        """Return nothing: a step is no strike."""
        return ()

    async def _run(self) -> Process:
        if self._process is None:
            self._start()
        try:
            return await self._engine().run(self.process.id)
        except Ended:
            self._has_ended = True
            return self.process

    def _left(self) -> Process | None:
        return self._log.load(self._process.id) if self._process else None

    def _is_over(self, process: Process) -> bool:
        """Whether the script is at its end, or the sync is over, and nobody lets it go on."""
        if self._has_ended or self.surprise is not None:
            return True
        if process.state is State.FAILED and process.is_resumable:
            self._resumption = self.script.next(process.progress.pages, "resume")
        return not process.is_active and self._resumption is None

    def _before_next(self) -> None:
        """Let a failed sync go on, where the script says that somebody did."""
        step, self._resumption = self._resumption, None
        if step is not None:
            options = step.options.plain() if step.options else None
            self._engine().resume(self.process.id, page_size=step.page_size, options=options, by="simulation")

    def step(self, action: ActionPoint) -> Step | None:
        """Return the step for an action that is due now; end, crash or cancel the sync where it says so."""
        step = self.script.next(self.process.progress.pages, action)
        happens = step.happens if step else None
        if happens == "end":
            raise Ended
        if happens == "cancelled":
            cancel(self._log, self.process.id, by="simulation", clock=self.clock, hooks=self._hooks)
        if happens in {"crash", "cancelled"}:
            raise Crash
        return step

    def failure(self, step: Step | None) -> Failure | None:
        """Return the failure that a step says, if it says one."""
        if step is None or step.fails is None:
            return None
        failure, self.chance.coming = failure_of(step, self.process.options)
        return failure

    async def asked(self) -> None:
        """Take note of a request, and let it take its time."""
        self.timeline.append(Asked(at=self.clock.now(), true_at=self.clock.now()))
        least_ms, most_ms = self.scenario.latency_ms
        await self.clock.sleep(self._latency.uniform(least_ms, most_ms) / 1000)

    def _follow(self, process: Process, recorded: Recorded) -> None:  # noqa: ARG002 - as hooks are called
        self._process = process

    def _start(self) -> None:
        self._latency = random.Random(f"{self.scenario.seed}:latency")
        is_retry = self.incident.mode == "rejects"
        listed = tuple(map(person, range(1, self.scenario.people + 1))) if is_retry else ()
        event = started(
            source=SOURCE,
            object_="people",
            sink=self._contacts.name,
            page_size=self.scenario.page_size,
            order=self.scenario.order,
            options=self.incident.options.plain(),
            mode=self.incident.mode,
            since=EPOCH if self.incident.mode == "ongoing" else None,
            parent=PARENT if is_retry else None,
            record_ids=listed,
        )
        process_id = f"{self.chance.getrandbits(48):012x}"
        commit(self._log, None, process_id, (event,), at=self.clock.now(), hooks=self._hooks)

    def _engine(self) -> Engine[Contact]:
        return Engine(
            self._log,
            ScriptedSource(self),
            ScriptedSink(self, self._contacts),
            to_contacts,
            clock=self.clock,
            rng=self.chance,
            hooks=self._hooks,
        )


async def to_contacts(records: Sequence[Record]) -> Transformed[Contact]:
    """Make contacts of which nothing is known but the id."""
    return Transformed(items=tuple(Contact(external_id=record.id, source=SOURCE) for record in records))


class ScriptedSource:
    """A source of the rows of an incident."""

    name = kind = SOURCE
    object = "people"
    orders: tuple[Order, ...] = ("newest", "oldest", "id")
    heeds_since = True
    changed_by = None

    def __init__(self, playback: Playback) -> None:
        self.options = playback.incident.options.plain()
        self._playback = playback

    async def check(self) -> dict[str, str] | Failure:
        """Find all in order, unless the script says otherwise."""
        await self._playback.asked()
        return self._playback.failure(self._playback.step("check")) or {"workspace": "simulated"}

    async def fetch(self, request: PageRequest) -> Page | Failure:
        """Answer from the rows."""
        playback = self._playback
        await playback.asked()
        step = playback.step("fetch")
        failure = playback.failure(step)
        if failure is not None:
            return failure
        process = playback.process
        step = step or Step(page=process.progress.pages, action="fetch")
        asked = step.asked(request)
        rows = playback.rows.answer(asked, step, process.page_size, process.paging.frontier)
        is_total = playback.rows.is_total and step.happens != "ties"
        return Page(
            records=rows,
            as_of=playback.clock.now(),
            is_total=is_total,
            asked=asked,
            is_followed=step.followed,
        )

    async def aclose(self) -> None:
        """Nothing is held."""


class ScriptedSink:
    """A real sink, which fails and refuses as the script says."""

    def __init__(self, playback: Playback, inner: SqliteSink) -> None:
        self.name = inner.name
        self._playback = playback
        self._inner = inner

    async def check(self) -> dict[str, str] | Failure:
        """Check the real sink."""
        return await self._inner.check()

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Take the items but for the last few, where the script says that so many are refused."""
        step = self._playback.step("deliver")
        failure = self._playback.failure(step)
        if failure is not None:
            return failure
        kept = items[: max(0, len(items) - (step.refused if step else 0))]
        result = await self._inner.upsert(kept)
        self._playback.rows.deliver()
        refused = [item.external_id for item in items[len(kept) :]]
        if not isinstance(result, Failure):
            self._playback.refused_by_sink.update(refused)
        return with_refused(result, refused)

    async def finish(self) -> Failure | None:
        """Finish the real sink, unless the script says that it fails."""
        return self._playback.failure(self._playback.step("finish")) or await self._inner.finish()

    async def aclose(self) -> None:
        """Leave the real sink open: it outlives the engine."""
