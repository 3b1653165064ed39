"""Keys pressed while something is shown, without Enter, where the terminal can do that."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LEAVE = set(b"qQ")


@contextmanager
def pause_until_left() -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits so many seconds, or until q is pressed, and says whether it was.

    The terminal is as it was before when the context ends.
    """
    if not sys.stdin.isatty():
        yield _sleep
        return
    try:
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415 - likewise
    except ImportError:
        yield _sleep
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield _wait_for_key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


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
