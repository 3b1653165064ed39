"""From a process in a log to a scenario that takes the same path, with nobody in it.

The process is gone through event by event, and a second one beside it, of invented rows, is led the same way
by the real rules: `decide` and the page rule say at each event whether the step found leads where the first
went. What comes out is short: only what was unusual is a step. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any, TypeAlias, assert_never

from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.backoff import RETRY_AFTER_JITTER_S
from syncfsm.core.describe import plural
from syncfsm.core.failure import FailureKind
from syncfsm.core.legality import refusal
from syncfsm.core.paging.place import Reject
from syncfsm.core.process import Process, apply
from syncfsm.core.state import PATIENCE, Retry
from syncfsm.errors import NotReproducible
from syncfsm.history.replay import Moment
from syncfsm_simulator.incidents.event_fingerprint import is_same, parting
from syncfsm_simulator.incidents.fitting import Fit, fit
from syncfsm_simulator.incidents.refusing import refuse
from syncfsm_simulator.incidents.rows_remaining import Ahead
from syncfsm_simulator.stage.incident import ActionPoint, Incident, Step, incident_options
from syncfsm_simulator.stage.playback import PARENT, failure_of
from syncfsm_simulator.stage.rows import Rows, person
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.clock import EPOCH

STREAM = "incident"
"""What the process of invented rows is called while it is led."""

_Turn: TypeAlias = e.SyncStarted | e.FetchingBegan | e.SyncCompleted | e.SyncCancelled | e.SyncResumed
"""Events that begin, resume or end a sync."""

FETCHED = frozenset({"unordered", "ties", "unasked", "stalled_rows_max", "step_backs_max"})
"""Reasons to give up that come of the rows."""


def to_scenario(history: Sequence[Moment]) -> Scenario:
    """Return the scenario that takes the path of a process.

    Args:
        history: All its moments, from the first event on.

    Raises:
        NotReproducible: An event cannot be made to come again by the rules of this version of syncfsm.
    """
    leader = _Leader(history)
    for index, moment in enumerate(history):
        leader.follow(index, moment)
    leader.end()
    return leader.scenario()


class _Leader:
    """Leads a process of invented rows along the path of another, and keeps the steps that it took."""

    def __init__(self, history: Sequence[Moment]) -> None:
        began = history[0].recorded.event
        assert isinstance(began, e.SyncStarted), "nothing else comes first"
        refuse(began, history[-1].recorded.event)
        self.began = began
        self.history = history
        self.ahead = Ahead(history)
        known = self.ahead.rows_from(0)
        is_retry = began.mode == "rejects"
        self.people = len(began.record_ids) if is_retry else Scenario().people if known is None else known
        self.rows = Rows(self.people, began.order, self.ahead.limit_max)
        self.steps: list[Step] = []
        self._process: Process | None = None
        self._is_held = False
        self._plain = 0  # how often the action went well since the step before, on this page
        self._version = 0
        self._rejects = 0
        self._overrun: tuple[e.Event, ...] = ()  # what the page delivered last leads to besides

    @property
    def process(self) -> Process:
        assert self._process is not None, "the first event makes it"
        return self._process

    def follow(self, index: int, moment: Moment) -> None:
        """Let the process come to an event."""
        event = moment.recorded.event
        strange = refusal(moment.before, event)
        if strange is not None:
            raise self._cannot(moment, strange)
        if self._overrun and not isinstance(event, e.SyncFailed):
            raise self._cannot(moment, "by the rules of today there were too many rejects")
        match event:
            case e.MissingFound() | e.NothingNewFound():
                raise AssertionError("a process that comes to this is refused before")
            case e.RetryScheduled():
                self._fail(moment, event.action, event.cause, event.wait_s)
            case e.PageFetched() | e.PagesShifted():
                self._fetch(moment, index)
            case e.RecordRejected():
                self._rejects += 1
            case e.PageDelivered():
                self._deliver(moment)
            case e.SyncFailed():
                self._give_up(moment, event, index)
            case (
                e.SyncStarted() | e.FetchingBegan() | e.SyncCompleted() | e.SyncCancelled() | e.SyncResumed()
            ) as turn:  # fmt: skip
                self._append(moment, *self._begun_or_ended(turn))
            case _:
                assert_never(event)

    def end(self) -> None:
        """Stop where the log does, if the process has more to do."""
        if self.process.is_active:
            self._add(Step(page=self._page, action=self._due(), happens="end"))

    def scenario(self) -> Scenario:
        """Return what has been found; what is as by default is left to the default."""
        began, usual = self.began, Scenario()
        incident = replace(Incident(), steps=tuple(self.steps))
        if began.mode != incident.mode:
            incident = replace(incident, mode=began.mode)
        if incident_options(began.options) != incident.options:
            incident = replace(incident, options=incident_options(began.options))
        found = {
            "people": self.people,
            "page_size": began.page_size,
            "order": began.order,
            "limit_max": max(2, self.ahead.limit_max),
        }
        changed = {name: value for name, value in found.items() if value != getattr(usual, name)}
        return replace(usual, about=_about(self.history[-1].after), incident=incident, **changed)

    # ── one for each kind of event ───────────────────────────────────────────────────────────

    def _begun_or_ended(self, event: _Turn) -> tuple[e.Event, ...]:
        """Return an event that begins, resumes or ends the sync, without anybody in it."""
        match event:
            case e.SyncStarted():
                return (replace(event, **self._nobody()),)
            case e.FetchingBegan():
                return d.decide(self.process, d.Checked(found={}))
            case e.SyncCompleted():
                return d.decide(self.process, d.Finished())
            case e.SyncCancelled():
                self._add(Step(page=self._page, action=self._due(), happens="cancelled"))
                return (e.SyncCancelled(by="simulation", why=""),)
            case e.SyncResumed():
                options = incident_options(event.options) if event.options else None
                self._add(Step(page=self._page, action="resume", page_size=event.page_size, options=options))
                return (replace(event, by="simulation", why=""),)
            case _:
                assert_never(event)

    def _fail(self, moment: Moment, action: e.ActionName, cause: str, wait_s: float | None) -> None:
        """Let an action fail, as it failed; `wait_s` is the wait that came of it."""
        kind = next((kind for kind in FailureKind if kind == cause), None)
        if kind is None:
            raise self._cannot(moment, f"failures of the kind {cause!r} are not known here")
        self._lose_page(action)
        step = Step(page=self._page, action=action, fails=kind, wait_s=_rounded(wait_s))
        failure, chance = failure_of(step, self.process.options)
        chance = 0.0 if chance is None else chance
        outcome = d.Failed(action=action, failure=failure, at=moment.recorded.at, chance=chance)
        self._add(step)
        self._append(moment, *d.decide(self.process, outcome))

    def _fetch(self, moment: Moment, index: int) -> None:
        self._lose_page("fetch")
        found = fit(self.process, self.rows, moment, index, self.ahead)
        if found is None:
            raise self._cannot(moment, "no rows are known that make the page rule do this")
        self._take(moment, found)
        self._is_held = isinstance(moment.recorded.event, e.PageFetched)

    def _take(self, moment: Moment, found: Fit) -> None:
        is_event_of_rows = isinstance(moment.recorded.event, e.SyncFailed)
        if found.step.is_plain and not is_event_of_rows:
            self._plain += 1
        else:
            self._add(found.step)
        self.rows = found.rows
        self._append(moment, *found.events)

    def _deliver(self, moment: Moment) -> None:
        page = self.process.pending
        if page is None or not self._is_held:
            raise self._cannot(moment, "no page was held")
        refused = self._rejects - len(page.malformed)
        rejects = tuple(Reject(record_id="", reason="") for _ in range(refused))
        created = len(page.record_ids) - refused
        outcome = d.Delivered(created=created, updated=0, unchanged=0, rejects=rejects, elapsed_ms=0)
        if refused:
            self._add(Step(page=self._page, action="deliver", refused=refused))
        events = d.decide(self.process, outcome)
        first = len(page.malformed) + refused
        self._append(moment, *events[: first + 1])
        self._overrun = events[first + 1 :]
        self.rows.deliver()
        self._rejects, self._plain, self._is_held = 0, 0, False

    def _give_up(self, moment: Moment, event: e.SyncFailed, index: int) -> None:
        match event.reason:
            case "reject_ratio_max":
                overrun, self._overrun = self._overrun, ()
                self._append(moment, *overrun)
            case reason if reason in FETCHED:
                self._lose_page("fetch")
                found = fit(self.process, self.rows, moment, index, self.ahead)
                if found is None:
                    raise self._cannot(moment, f"no rows are known of which {reason} comes")
                self._take(moment, found)
            case "attempts_max" | "waiting_s_max":
                longest_s = self.process.options.wait_s_max + RETRY_AFTER_JITTER_S
                wait_s = longest_s if event.reason == "waiting_s_max" else None
                self._fail(moment, event.action, _cause(self.process.retry), wait_s)
            case "wait_s_max":
                self._fail(moment, event.action, PATIENCE, self.process.options.wait_s_max + 1)
            case reason:
                self._fail(moment, event.action, reason, None)
        self._is_held = False

    # ── what they share ──────────────────────────────────────────────────────────────────────

    @property
    def _page(self) -> int:
        return self.process.progress.pages

    def _nobody(self) -> dict[str, Any]:
        """Return the first event's names, invented."""
        is_retry = self.began.mode == "rejects"
        listed = tuple(map(person, range(1, self.people + 1))) if is_retry else ()
        return {
            "source": "",
            "sink": "",
            "object": "",
            "parent": PARENT if is_retry else None,
            "record_ids": listed,
            "since": EPOCH if self.began.mode == "ongoing" else None,
            "changed_by": None,
        }

    def _due(self) -> ActionPoint:
        """Return the action performed next: a page that is no longer held is fetched again."""
        action = d.next_action(self.process)
        assert action is not None, "an active process has something to do"
        name = d.ACTION_NAMES[type(action)]
        return "fetch" if name == "deliver" and not self._is_held else name

    def _lose_page(self, action: e.ActionName) -> None:
        """Let the engine die with the page that it holds, where the next action fetches it again."""
        if action == "fetch" and self._is_held:
            self._add(Step(page=self._page, action="deliver", happens="crash"))
            self._is_held = False

    def _add(self, step: Step) -> None:
        self.steps.append(replace(step, after=self._plain if step.action == "fetch" else 0))
        self._plain = 0

    def _append(self, moment: Moment, *events: e.Event) -> None:
        """Adopt events, the last of which must be that of the log."""
        if not events or not is_same(moment.recorded.event, events[-1]):
            came = [replace(moment.recorded, event=event) for event in events[-1:]]
            found = parting([moment.recorded], came)
            raise self._cannot(moment, f"by the rules of today it is {found.came if found else 'another'}")
        for event in events:
            self._version += 1
            recorded = e.Recorded(stream=STREAM, version=self._version, at=moment.recorded.at, event=event)
            self._process = apply(self._process, recorded)

    def _cannot(self, moment: Moment, why: str) -> NotReproducible:
        at = f"version {moment.recorded.version} ({moment.recorded.type}) of process {moment.recorded.stream}"
        return NotReproducible(f"{at} cannot be made to come again: {why}")


def _rounded(wait_s: float | None) -> float | None:
    """Return a wait in whole milliseconds, rounded down so that budgets hold, unless that leaves none."""
    return (floor(wait_s * 1000) / 1000 or wait_s) if wait_s else wait_s


def _cause(retry: Retry | None) -> str:
    """Return the kind of failure that used up a budget: the one before, or any that waiting may cure."""
    return retry.cause if retry else FailureKind.UNAVAILABLE.value


def _about(process: Process) -> str:
    """Return where an incident comes from, in a sentence, without anybody in it."""
    progress, failure = process.progress, process.failure
    why = f" ({failure.reason})" if failure else ""
    counts = (
        plural(progress.pages, "page"),
        plural(progress.fetched, "record"),
        plural(progress.retries, "retry", "retries"),
        plural(progress.shifts, "shift"),
        plural(progress.rejected, "reject"),
    )
    kind = {"rejects": "a retry of rejects", "ongoing": "an ongoing sync"}.get(process.mode, "a sync")
    return f"From the log of {kind}: {process.state}{why} after {', '.join(counts)}."
