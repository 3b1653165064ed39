"""Moments as logs and sinks write them: ISO 8601, UTC, microseconds, so that texts sort as moments do."""

from __future__ import annotations

from datetime import UTC, datetime

from syncfsm.errors import CorruptLog


def format_time(at: datetime) -> str:
    """Return a moment as it is stored: `2026-01-01T00:00:00.000000Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the moment that `format_time` wrote.

    Raises:
        CorruptLog: It is none.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise CorruptLog(f"not a time: {text!r}") from error
