"""The loop, and all that begins, drives, watches and repeats it.

`preflight` and `rerun` are modules of their own, named as the one function that each is about.
"""

from __future__ import annotations

from syncfsm.engine.commit import Hook, cancel
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncMode, SyncRequest
from syncfsm.engine.watcher import Watcher

__all__ = ["Engine", "Hook", "SyncMode", "SyncRequest", "Watcher", "cancel"]
