"""Which processes a log can do without: those that are over, long ago, and that nothing else still asks for.

What stays though it is old, and why (docs/decisions/0010):

- what the sides name: who began, was completed, or began to fetch last of each mode;
- the last event of all, so that a log never seems to be an earlier one;
- what took a notice that is still in the inbox, since its key tells what came already (`CANDIDATES`);
- rejects that are open, and, of one that stays, whoever delivered what it rejected;
- the parent of what stays;
- what came since an unfinished sync began that will delete what is missing: it is the proof of who is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.core.routes import Side
from syncfsm.core.state import Route
from syncfsm.log.protocol import EventLog
from syncfsm.log.protocol.prunable import Candidate
from syncfsm.log.pruning.rejects import owed

EVENTS_MAX = 1000
"""The most events of one pruning, unless one process has more: for so long nobody else can write."""


class Choice:
    """What is to go and what stays.

    Attributes:
        portions: The processes that go, as they go: each portion is of one side, in the order of their begin.
        kept: How many stay though they are over and old enough.
    """

    def __init__(self, log: EventLog, *, before: datetime, keep_failed: bool = False) -> None:
        candidates = log.prunable(before)
        self._sides = _sides(log)
        kept = set(self._answering(log, candidates))
        if keep_failed:
            kept.update(one.id for one in candidates if one.state is State.FAILED)
        kept.update(self._proofs(log, candidates))
        going = {one.id for one in candidates} - kept
        going = _unneeded(log, going) if going else going
        chosen = [one for one in candidates if one.id in going]
        self.kept = len(candidates) - len(chosen)
        self.portions = list(_portions(chosen, self._borders(candidates, going)))

    @property
    def processes(self) -> list[Candidate]:
        """All that go."""
        return [one for portion in self.portions for one in portion]

    def _answering(self, log: EventLog, candidates: Iterable[Candidate]) -> Iterator[str]:
        """Yield who answers what is asked of their side, or has the last event of all."""
        named = {name for side in self._sides for name in (side.last, side.done)}
        begun = {side.done_position for side in self._sides}
        fetching = {side.fetching_position for side in self._sides if side.fetching_position}
        last = log.last_position()
        for one in candidates:
            is_named = one.id in named or one.position in begun or one.fetching_position in fetching
            if is_named or one.end_position >= last:
                yield one.id

    def _proofs(self, log: EventLog, candidates: Sequence[Candidate]) -> Iterator[str]:
        """Yield who may have brought what an unfinished sync would take for missing."""
        since = {_route(process): _begin(log, process) for process in self._deleting(log)}
        for one in candidates:
            route = Route(source=one.source, object=one.object, sink=one.sink)
            if route in since and one.end_position > since[route]:
                yield one.id

    def _deleting(self, log: EventLog) -> Iterator[Process]:
        for side in self._sides:
            if side.mode == "initial":
                process = log.load(side.last)
                if process.deletes_missing and (process.is_active or process.is_resumable):
                    yield process

    def _borders(self, candidates: Iterable[Candidate], going: set[str]) -> dict[Route, list[int]]:
        """Return where the syncs of all records began that stay: what others left is counted from there."""
        found: dict[Route, list[int]] = {}
        for side in self._sides:
            if side.mode == "initial":
                begun = (side.done_position, side.last_position)
                found.setdefault(side.route, []).extend(place for place in begun if place)
        for one in candidates:
            if one.mode == "initial" and one.id not in going:
                route = Route(source=one.source, object=one.object, sink=one.sink)
                found.setdefault(route, []).append(one.position)
        return found


def _sides(log: EventLog) -> list[Side]:
    return [side for source in {route.source for route in log.routes()} for side in log.sides(source)]


def _route(process: Process) -> Route:
    return Route(source=process.source, object=process.object, sink=process.sink)


def _begin(log: EventLog, process: Process) -> int:
    """Return the place behind which others' events count for a process. See `missing.ids_seen_since`."""
    began = next(log.read(process.id, until=1)).position or 0
    shortly = process.started_at - timedelta(seconds=process.options.overlap_s)
    return min(began - 1, log.last_position(before=shortly))


def _unneeded(log: EventLog, going: set[str]) -> set[str]:
    """Return those that nothing needs which stays: neither as a parent, nor for what became of rejects."""
    links = log.links()
    rejects = owed(log, links)
    needs = {name: {parent} for name, parent in links.parents.items()}
    for name, others in rejects.settled_by.items():
        needs[name] = needs.get(name, set()) | others
    left = going - rejects.open
    asking = [name for name in needs if name not in left]
    while asking:
        found = needs.get(asking.pop(), set()) & left
        left -= found
        asking += found
    return left


def _portions(chosen: Iterable[Candidate], borders: dict[Route, list[int]]) -> Iterator[list[Candidate]]:
    """Yield what goes at a time: of one side, so many events, and none of them across a border."""
    open_: dict[tuple[str, ...], list[Candidate]] = {}
    for one in chosen:
        key = (one.source, one.object, one.sink, one.mode, one.changed_by)
        portion = open_.setdefault(key, [])
        between = borders.get(Route(source=one.source, object=one.object, sink=one.sink), ())
        is_full = sum(other.version for other in portion) + one.version > EVENTS_MAX
        if portion and (is_full or any(portion[-1].position < place < one.position for place in between)):
            yield portion
            portion = open_[key] = []
        portion.append(one)
    yield from open_.values()
