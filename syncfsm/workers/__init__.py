"""Whoever works on many syncs: of many accounts in one program, or of many machines on one log.

`Engines` runs them in this program. What is due, and what is to be gone on with, is told by the log alone.
"""

from __future__ import annotations

from syncfsm.workers.account_sync import AccountSync
from syncfsm.workers.engines import Engines
from syncfsm.workers.standing import Standing

__all__ = ["AccountSync", "Engines", "Standing"]
