"""A file that one process at a time writes to, for as long as it has it open.

Where the system has no `flock` (Windows), nothing is held, and two writers are for their users to avoid.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from syncfsm.files.private import make_private

if sys.platform != "win32":
    import fcntl


class HeldElsewhere(OSError):
    """Somebody else has the file open for writing."""


def open_held(path: Path) -> BinaryIO:
    """Open a file to append to and read, made if it is missing, and hold it until it is closed.

    Raises:
        HeldElsewhere: Somebody else holds it.
        OSError: It cannot be opened.
    """
    while True:
        make_private(path)
        file = path.open("a+b", buffering=0)
        try:
            _hold(file)
            if _is_at(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # it was replaced while it was opened


def _hold(file: BinaryIO) -> None:
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HeldElsewhere from error


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
