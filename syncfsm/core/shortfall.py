"""Whether a sync of all records brought far fewer than were there before: a listing may be short. Pure."""

from __future__ import annotations

from syncfsm.core.machine import State
from syncfsm.core.process import Process

SHARE_MIN = 0.75
"""The share of what syncs before have left that a sync of all records brings at least; below, it says so."""

FEWER_MIN = 10
"""Fewer missing than this are not worth the words, whatever their share."""


def shortfall_words(process: Process) -> str:
    """Return that a completed sync brought far fewer than were there before; empty if it did not.

    Nothing follows from it: people may be gone. But whoever thinks that they are not can look.
    """
    if process.state is not State.COMPLETED or process.mode != "initial":
        return ""
    brought, before = process.progress.fetched, process.progress.before
    if brought >= SHARE_MIN * before or before - brought < FEWER_MIN:
        return ""
    return (
        f"It brought {brought:,} records, and syncs before had left {before:,} in the sink: if they are not "
        "gone, the source's listing was short, or its key sees less than before."
    )
