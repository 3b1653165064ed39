"""Spans of time as people type them: `30d`, `12h`, `90m`, `0s`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from syncfsm.errors import ConfigurationError

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(\d{1,6})([dhms])")

EVERY_S_MIN = 1.0
"""More often, a source that has nothing new would be asked without a pause."""


def pause_s(text: str) -> float:
    """Return how often something is to be done: the seconds from one beginning to the next.

    Raises:
        ConfigurationError: It is no length of time, or none that leaves a pause.
    """
    seconds = duration(text).total_seconds()
    if seconds < EVERY_S_MIN:
        raise ConfigurationError(f"every {text} leaves no pause: give 1s or more")
    return seconds


def before_now(text: str) -> datetime:
    """Return the moment that was so long ago.

    Raises:
        ConfigurationError: It is no length of time, or there was no such moment.
    """
    try:
        return datetime.now(UTC) - duration(text)
    except OverflowError as error:
        raise ConfigurationError(f"{text!r} is longer than time itself: give fewer days") from error


def duration(text: str) -> timedelta:
    """Return a time such as `30d`, `12h`, `90m`, `0s`.

    Raises:
        ConfigurationError: It is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"{text!r} is no length of time: give a whole number and d, h, m or s, such as 30d, 12h or 90m"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
