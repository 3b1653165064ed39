"""What differs between two states, and where two processes part: pure comparisons, for replay and diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any

from syncfsm.core import events as e
from syncfsm.core.describe import plural, time_words
from syncfsm.core.options import Options
from syncfsm.core.paging.place import Frontier, FrontierMark, Paging
from syncfsm.core.process import Process
from syncfsm.core.state import FailureReason, Progress, Retry
from syncfsm.core.value import Value
from syncfsm.history.replay import Moment

_APART = frozenset({"id", "version", "updated_at", "waits_since", "budget_from"})
"""Fields of a state that a change is not about: its name, its place and its bookkeeping."""

_NESTED = (Paging, Progress, Options)
"""Values whose fields are compared one by one; all others are compared whole."""

_ALWAYS_ANOTHER = frozenset({"as_of", "elapsed_ms", "retry_at", "wait_s", "watermark"})
"""Fields of an event that say when or how fast, not what."""


_TIMES = frozenset({"started_at", "watermark", "progress.waited_s"})
"""Fields of a state that say when or how fast."""

_SETTINGS = (e.SyncStarted, e.FetchingBegan)
"""Events that say what was asked for, and what the checks found."""


class Change(Value, frozen=True):
    """One field that differs: its name, dotted where it is nested, and both values."""

    field: str
    before: Any
    after: Any


def changes(before: Process | None, after: Process) -> tuple[Change, ...]:
    """Return the fields of the state that an event, or several, changed; all that are set for the first."""
    return _differences(dict(_fields(before)), dict(_fields(after)))


def event_differences(one: e.Event, two: e.Event) -> tuple[Change, ...]:
    """Return the fields in which two events differ, but for those that say when or how fast."""
    if type(one) is not type(two):
        return (Change(field="type", before=type(one).__name__, after=type(two).__name__),)
    return _differences(dict(_fields(one, _ALWAYS_ANOTHER)), dict(_fields(two, _ALWAYS_ANOTHER)))


def _fields(value: Value | None, apart: frozenset[str] = _APART) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    for name in value.__struct_fields__:
        field = getattr(value, name)
        if name in apart:
            continue
        if isinstance(field, _NESTED):
            yield from ((f"{name}.{inner}", found) for inner, found in _fields(field))
        else:
            yield name, field


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    names = dict.fromkeys((*before, *after))
    found = ((name, before.get(name), after.get(name)) for name in names)
    return tuple(Change(field=name, before=one, after=two) for name, one, two in found if one != two)


class Parting(Value, frozen=True):
    """The first event in which two processes differ; where one has ended, what the other goes on with.

    Attributes:
        version: Of the event, the same in both.
        one: The step of the first; null if it has ended.
        two: The step of the second, likewise.
        differences: In which fields the events differ, if both have one.
    """

    version: int
    one: Moment | None
    two: Moment | None
    differences: tuple[Change, ...]


class Comparison(Value, frozen=True):
    """Two processes, compared event by event.

    Attributes:
        settings: What was asked for, or found by the checks, that differs.
        parting: Where they part; null if they never do.
        one: The last step of the first; null if it has none.
        two: The last step of the second.
        ends: The fields in which the last states differ.
        only_one: How many events of each type the first has from the parting on.
        only_two: The second, likewise.
    """

    settings: tuple[Change, ...]
    parting: Parting | None
    one: Moment | None
    two: Moment | None
    ends: tuple[Change, ...]
    only_one: dict[str, int]
    only_two: dict[str, int]


def compare(one: Iterable[Moment], two: Iterable[Moment]) -> Comparison:
    """Compare two processes, step by step; what was asked for is compared apart, and is no parting."""
    settings: list[Change] = []
    parting: Parting | None = None
    last: list[Moment | None] = [None, None]
    only: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for version, steps in enumerate(zip_longest(one, two), start=1):
        last = [step or before for step, before in zip(steps, last, strict=True)]
        if parting is None:
            found = _parting(version, *steps)
            if found and isinstance(_event(steps[0]), _SETTINGS) and type(_event(steps[1])) in _SETTINGS:
                settings += found.differences
                continue
            parting = found
        if parting is not None:
            for counter, step in zip(only, steps, strict=True):
                counter.update([step.recorded.type] if step else [])
    return Comparison(
        settings=tuple(settings),
        parting=parting,
        one=last[0],
        two=last[1],
        ends=_ends(*last),
        only_one=dict(only[0]),
        only_two=dict(only[1]),
    )


def _parting(version: int, one: Moment | None, two: Moment | None) -> Parting | None:
    """Return the parting at a version, if the steps differ there."""
    if one is None or two is None:
        return Parting(version=version, one=one, two=two, differences=())
    differences = event_differences(one.recorded.event, two.recorded.event)
    return Parting(version=version, one=one, two=two, differences=differences) if differences else None


def _event(step: Moment | None) -> e.Event | None:
    return step.recorded.event if step else None


def _ends(one: Moment | None, two: Moment | None) -> tuple[Change, ...]:
    """Return how the last states differ, but for times where these are of two processes."""
    if one is None or two is None:
        return ()
    found = changes(one.after, two.after)
    is_one_process = one.after.id == two.after.id
    return tuple(change for change in found if is_one_process or change.field not in _TIMES)


def value_words(value: Any) -> str:
    """Return a value of a state or an event, for a person, in one short line."""
    for kind, words in _WORDS:
        if isinstance(value, kind):
            return words(value)
    return str(value)


def _each_field(value: Value) -> str:
    return ", ".join(f"{name} {value_words(field)}" for name, field in _fields(value))


_WORDS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    # the first that fits
    (type(None), lambda _: "none"),
    ((bool, str), lambda value: str(value) or "(empty)"),
    (int, lambda value: f"{value:,}"),
    (float, lambda value: f"{value:,.6g}"),
    (datetime, time_words),
    (e.PageFetched, lambda page: f"{len(page.record_ids)} records from offset {page.offset}"),
    ((Frontier, FrontierMark), lambda frontier: f"{frontier.key} ({plural(len(frontier.ids), 'id')})"),
    (Retry, lambda retry: f"{retry.cause}, failure {retry.attempt} in a row"),
    (FailureReason, lambda failure: failure.reason),
    ((tuple, frozenset), lambda ids: plural(len(ids), "id")),
    (dict, lambda value: ", ".join(f"{key} {item}" for key, item in value.items())),
    (Value, _each_field),
)
