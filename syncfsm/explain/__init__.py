"""What became of a process, and why: an account in words, made from its events alone."""

from __future__ import annotations

from syncfsm.explain.account import Account, explain
from syncfsm.explain.words import Section, lines, sections

__all__ = ["Account", "Section", "explain", "lines", "sections"]
