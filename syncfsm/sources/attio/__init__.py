"""Attio: its records, its people, and what was captured of it."""

from __future__ import annotations

from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.attio.source import AttioSource

__all__ = ["AttioPeople", "AttioSource"]
