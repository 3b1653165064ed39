"""An error that nobody foresaw, in words."""

from __future__ import annotations

import traceback


def surprise_words(error: Exception) -> str:
    """Return what an error was and where it came from."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
