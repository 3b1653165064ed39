"""Which rule of the tables refused a row: told by SQLite's code and what was being written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from syncfsm.errors import SyncfsmError

_THERE_ALREADY = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_TRIGGER}
"""What a unique index says, and the trigger that comes before it."""


class _Refused(Exception):
    """A row broke a rule; what the rule is called in words is asked when the transaction is over."""

    def __init__(self, words: Callable[[], SyncfsmError]) -> None:
        super().__init__()
        self.words = words


@contextmanager
def unique(words: Callable[[], SyncfsmError]) -> Iterator[None]:
    """Note the refusal of a row that is there already, where all that is written within has one such rule."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode not in _THERE_ALREADY:
            raise
        raise _Refused(words) from error


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raise what a refusal within is in words, with the log as it is then: the transaction is rolled back."""
    try:
        yield
    except _Refused as refused:
        raise refused.words() from refused.__cause__
