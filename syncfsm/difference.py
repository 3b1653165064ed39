"""What differs between two states, and where two processes part: pure comparisons, for replay and diff."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from syncfsm import events as e
from syncfsm.describe import time_words
from syncfsm.process import Process
from syncfsm.state import FailureReason, Frontier, Paging, Progress, Retry

_APART = frozenset({"id", "version", "updated_at", "budget_from"})
"""Fields of a state that a change is not about: its name, its place and its bookkeeping."""

_NESTED = (Paging, Progress, e.Options)
"""Values whose fields are compared one by one; all others are compared whole."""

_ALWAYS_ANOTHER = frozenset({"as_of", "elapsed_ms", "retry_at", "wait_s", "watermark"})
"""Fields of an event that say when or how fast, not what."""


class Change(e.Value, frozen=True):
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


def _fields(value: e.Value | None, apart: frozenset[str] = _APART) -> Iterator[tuple[str, Any]]:
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


class Parting(e.Value, frozen=True):
    """The first place where two processes differ.

    Attributes:
        version: Of the event, the same in both.
        before: The state that both had come to, by the first; null at the start.
        one: The first's event; null if it has none there.
        two: The second's, likewise.
        differences: In which fields, if both have one.
    """

    version: int
    before: Process | None
    one: e.Recorded | None
    two: e.Recorded | None
    differences: tuple[Change, ...]


def parting(steps: Iterable[tuple[Process | None, e.Recorded | None, e.Recorded | None]]) -> Parting | None:
    """Return where two processes part, or `None` if they never do.

    Args:
        steps: For each version, the state before it and the event of either; null where one has ended.
    """
    for version, (before, one, two) in enumerate(steps, start=1):
        if one is None or two is None:
            return Parting(version=version, before=before, one=one, two=two, differences=())
        differences = event_differences(one.event, two.event)
        if differences:
            return Parting(version=version, before=before, one=one, two=two, differences=differences)
    return None


def value_words(value: Any) -> str:
    """Return a value of a state or an event, for a person, in one short line."""
    for kind, words in _WORDS:
        if isinstance(value, kind):
            return words(value)
    return str(value)


def _each_field(value: e.Value) -> str:
    return ", ".join(f"{name} {value_words(field)}" for name, field in _fields(value))


_WORDS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    # the first that fits
    (type(None), lambda _: "none"),
    ((bool, str), lambda value: str(value) or "(empty)"),
    (int, lambda value: f"{value:,}"),
    (float, lambda value: f"{value:,.6g}"),
    (datetime, time_words),
    (e.PageFetched, lambda page: f"{len(page.record_ids)} records from offset {page.offset}"),
    (Frontier, lambda frontier: f"{frontier.key} ({len(frontier.ids)} ids)"),
    (Retry, lambda retry: f"{retry.cause}, failure {retry.attempt} in a row"),
    (FailureReason, lambda failure: failure.reason),
    ((tuple, frozenset), lambda ids: f"{len(ids)} {'id' if len(ids) == 1 else 'ids'}"),
    (dict, lambda value: ", ".join(f"{key} {item}" for key, item in value.items())),
    (e.Value, _each_field),
)
