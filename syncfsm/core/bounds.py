"""What an event may hold, for events that come from outside: values that no reader stumbles over. Pure.

The types of its fields are checked when it is decoded. Beyond that, a number has a range, a moment has a
time zone, and what a sync begins with is what one could be begun with here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import isfinite

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.core.starts import check_page_size
from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError

COUNT_MAX = 10**12
"""The largest number that an event may hold; sums of them are numbers that every store has."""

MOMENT_MIN, MOMENT_MAX = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
"""So that a year more or less is a moment still."""

_MAY_BE_NEGATIVE = {"shift", "elapsed_ms"}
"""Rows come or go; and a clock may have been set back while something took its time."""


def misfit(before: Process | None, event: e.Event) -> str | None:
    """Return what an event holds that none can, in words; null if it may follow a state as far as that goes.

    Whether it may come at all is for the machine to say.
    """
    return _odd_sync(before, event) or next(_odd_values(event, ""), None)


def is_moment(value: datetime) -> bool:
    """Whether a moment says its time zone, and can be reckoned with."""
    return value.utcoffset() is not None and MOMENT_MIN <= value <= MOMENT_MAX


def _odd_sync(before: Process | None, event: e.Event) -> str | None:
    """Return what is wrong with what a sync begins or goes on with."""
    try:
        if isinstance(event, e.SyncStarted):
            check_page_size(event.page_size, event.options)
            return _odd_mode(event)
        if isinstance(event, e.SyncResumed) and before is not None:
            check_page_size(event.page_size or before.page_size, event.options or before.options)
    except ConfigurationError as error:
        return str(error)
    return None


def _odd_mode(event: e.SyncStarted) -> str | None:
    """Return what a sync lacks of what its mode needs, or has that would do harm in it."""
    if event.mode in {"webhook", "rejects"} and not event.record_ids:
        return f"a sync of mode {event.mode} asks for single records, and it names none"
    if event.mode == "ongoing" and event.since is None:
        return "an ongoing sync begins somewhere, and it has no since"
    if event.deletes_missing and (event.mode != "initial" or event.record_ids):
        return "only who asks for all records can say who is missing"
    return None


def _odd_values(value: object, name: str) -> Iterator[str]:
    """Yield what is wrong with a value and all within it."""
    if isinstance(value, datetime) and not is_moment(value):
        yield f"its {name} is {value.isoformat()}: no moment with a time zone, or out of range"
    elif isinstance(value, int | float) and not _is_number(value, name):
        yield f"its {name} is {value}: no number from 0 to {COUNT_MAX:,}"
    for part, its_name in _parts(value, name):
        yield from _odd_values(part, its_name)


def _parts(value: object, name: str) -> Iterable[tuple[object, str]]:
    """Return what a value is made of, with its names; but no texts, which may be anything, and are many."""
    match value:
        case Value():
            return [(getattr(value, field), field) for field in value.__struct_fields__]
        case dict():
            return [(part, f"{name} of {key!r}") for key, part in value.items()]
        case tuple():
            return [(part, name) for part in value if not isinstance(part, str)]
    return ()


def _is_number(value: float, name: str) -> bool:
    least = -COUNT_MAX if name in _MAY_BE_NEGATIVE else 0
    return isfinite(value) and least <= value <= COUNT_MAX
