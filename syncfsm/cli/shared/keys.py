"""Keys pressed while something is shown, without Enter, where the terminal can do that."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

import click

LEAVE = set(b"qQ")

_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|.", re.DOTALL)
"""One key among those typed: an escape sequence, or a character."""


@contextmanager
def _unbuffered() -> Iterator[bool]:
    """Let keys come as they are pressed, if the terminal can do that; yield whether it can.

    It stays so throughout, so that no key is lost between two; when the context ends it is as it was before.
    """
    try:
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415 - likewise
    except ImportError:
        yield False
        return
    if not sys.stdin.isatty():
        yield False
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def typed_keys() -> Iterator[Iterator[str]]:
    """Yield the keys, one after the other: a character, or an escape sequence as terminals send it."""
    with _unbuffered() as is_unbuffered:
        yield _typed() if is_unbuffered else (click.getchar() for _ in repeat(None))


def _typed() -> Iterator[str]:
    while text := os.read(sys.stdin.fileno(), 1024).decode(errors="ignore"):
        yield from _KEY.findall(text)


@contextmanager
def pause_until_left() -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits so many seconds, or until q is pressed, and says whether it was."""
    with _unbuffered() as is_unbuffered:
        yield _wait_for_key if is_unbuffered else _sleep


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _wait_for_key(seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        ready, _, _ = select.select([sys.stdin], [], [], left_s)
        if ready:
            keys = os.read(sys.stdin.fileno(), 64)  # past Python's buffer, which `select` does not see
            if not keys or LEAVE & set(keys):  # none: the terminal has gone
                return True
    return False
