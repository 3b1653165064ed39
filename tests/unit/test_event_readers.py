"""Whoever reads events says what each of them is to it: a new event is decided about everywhere, or named."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from syncfsm.core import events as e
from syncfsm.core.legality import refusal
from syncfsm.core.machine import TRANSITIONS
from syncfsm.log.transfer.redact import TABLE
from tests.unit.test_structure import FILES


def matches_of_events(path: Path) -> list[ast.Match]:
    """Return the `match` statements of a file that tell events apart, by two kinds of them or more."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Match):
            named = {
                ast.unparse(pattern.cls)
                for case in node.cases
                for pattern in ast.walk(case.pattern)
                if isinstance(pattern, ast.MatchClass)
            }
            if len(named & {f"e.{name}" for name in e.EVENT_TYPES}) >= 2:
                found.append(node)
    return found


def test_no_match_passes_over_an_event_that_it_does_not_name() -> None:
    count = 0
    for path in FILES:
        for match in matches_of_events(path):
            count += 1
            last = match.cases[-1]
            assert "assert_never" in ast.unparse(last.body[0]), f"{path.name}, line {match.lineno}"
    assert count >= 8


def test_a_table_that_leaves_an_event_out_is_refused_and_says_which() -> None:
    others = [cls for cls in e.EVENT_TYPES.values() if cls is not e.SyncFailed]
    with pytest.raises(AssertionError, match="what is to become of SyncFailed"):
        e.by_event({}, *others, otherwise=1)
    assert e.by_event({e.SyncFailed: 2}, *others, otherwise=1)[e.SyncFailed] == 2


def test_every_event_has_its_transitions_and_its_redaction() -> None:
    assert {trigger for trigger, _, _ in TRANSITIONS} == set(e.EVENT_TYPES)
    assert set(e.EVENT_TYPES.values()) <= set(TABLE)


def test_only_what_begins_a_sync_can_come_first() -> None:
    cancelled = e.SyncCancelled(by="somebody", why="")
    assert refusal(None, cancelled) == "nothing but SyncStarted can come first"
