"""Whoever works on many syncs: of many accounts in one program, or of many machines on one log.

`Engines` runs them in this program, `work_on` does one slice of one, for whatever calls it. What is due, and
what is to be gone on with, is told by the log alone.
"""

from __future__ import annotations

from syncfsm.workers.account_sync import AccountSync
from syncfsm.workers.account_turns import turn_of
from syncfsm.workers.engines import Engines
from syncfsm.workers.slices import Place, Within, place_of, work_on
from syncfsm.workers.standing import Standing, due_in_s

__all__ = [
    "AccountSync",
    "Engines",
    "Place",
    "Standing",
    "Within",
    "due_in_s",
    "place_of",
    "turn_of",
    "work_on",
]
