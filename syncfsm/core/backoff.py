"""When to try again: Retry-After, exponential backoff with jitter, and the budgets. No I/O.

The server's word comes first. Where it gives none, or one that lies in the past, the wait doubles with
each failure. Jitter is added, never subtracted, so that nothing is asked before the server allows it and
workers that share a workspace do not wake in the same second. The source of chance is the caller's.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from syncfsm.core.options import Options
from syncfsm.core.value import Value

JITTER = 0.5
"""The share of a wait that chance may add to it."""

RETRY_AFTER_JITTER_S = 0.25
"""What chance may add to a wait that the server named: a date has a resolution of one second."""


class GiveUp(Value, frozen=True):
    """A budget is spent. `limit` names the option that holds it, `needed` is what would have been enough."""

    limit: str
    why: str
    needed: float


RETRY_AFTER_S_MAX = 10 * 365 * 24 * 3600.0
"""A longer wait than ten years, which a moment could not tell, is taken for these."""


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds to wait from `now`, or `None` if the header is absent or nonsense.

    Args:
        value: The header `Retry-After`: a number of seconds or an HTTP date (RFC 9110, section 10.2.3).
        now: What a date is measured against: the response's own `Date`, so that a local clock that is
            off does not matter.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_until(text, now)
    return min(max(0.0, seconds), RETRY_AFTER_S_MAX) if math.isfinite(seconds) else None


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=now.tzinfo)
    return min(max(0.0, (date - now).total_seconds()), RETRY_AFTER_S_MAX)


def wait_s(attempt: int, retry_after_s: float | None, chance: float, options: Options) -> float:
    """Return how long to wait after failure number `attempt` (from 1).

    Args:
        attempt: Failures in a row, this one included.
        retry_after_s: What the server asked for; where it is more than `options.wait_s_max`, that is no wait
            to begin: see `asks_too_much`.
        chance: A number in [0, 1).
        options: Where the limits are.
    """
    if retry_after_s:
        return min(retry_after_s, options.wait_s_max) + chance * RETRY_AFTER_JITTER_S
    doubled = options.backoff_s_base * 2.0 ** min(attempt - 1, 32)
    return min(doubled * (1 + JITTER * chance), options.wait_s_max)


def asks_too_much(retry_after_s: float | None, options: Options) -> GiveUp | None:
    """Return which limit forbids to wait as long as a server asks for, if it does.

    It is not asked sooner: whoever may not wait so long has to come again.
    """
    if retry_after_s is None or retry_after_s <= options.wait_s_max:
        return None
    words = f"a wait of {retry_after_s:.0f} s that it asks for"
    return GiveUp(limit="wait_s_max", why=words, needed=math.ceil(retry_after_s))


def spent_budget(attempt: int, wait: float, waited_s: float, options: Options) -> GiveUp | None:
    """Return which budget forbids another try, if any.

    Args:
        attempt: Failures in a row, this one included.
        wait: The wait that would come next, seconds.
        waited_s: All waits of this sync since it started or was resumed, seconds.
        options: Where the limits are.
    """
    if attempt >= options.attempts_max:
        return GiveUp(limit="attempts_max", why=f"{attempt} failures in a row", needed=attempt + 1)
    if waited_s + wait > options.waiting_s_max:
        needed = math.ceil(waited_s + wait)
        return GiveUp(limit="waiting_s_max", why=f"{waited_s:.0f} s of waiting already", needed=needed)
    return None


def left_s(retry_at: datetime, decided_at: datetime, now: datetime) -> float:
    """Return how long a wait still is, by the time of day; 0 or less if it is over.

    A clock that shows a time before the wait was decided was set back: then all of it is left, and no more.
    """
    return (retry_at - max(now, decided_at)).total_seconds()


def later(at: datetime, seconds: float) -> datetime:
    """Return the moment `seconds` after `at`, rounded up to a whole microsecond."""
    return at + timedelta(microseconds=math.ceil(seconds * 1_000_000))
