"""What is left of a damaged log, read from its bytes without SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm.moved import old_names

if not TYPE_CHECKING:  # types are only those that have a name here
    __getattr__ = old_names(__name__)
