"""Files that hold people's data: those that we make are for their owner alone; those there are stay theirs.

A new file gets 0600, whatever the umask would allow. One that is written anew keeps its mode, its owner and
its place behind a symbolic link, and nothing that happens to lie beside it is touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from syncfsm.files.whole import written_whole

MODE = 0o600


def private(path: str, flags: int) -> int:
    """Open a file, as the `opener` of `open`; one that is made so is its owner's alone."""
    return os.open(path, flags, MODE)


def make_private(path: str | Path) -> None:
    """Make an empty file if there is none, for a library that would make it readable by others.

    What stands in the way is for whoever opens it to say.
    """
    with suppress(OSError):
        os.close(private(str(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))


@contextmanager
def rewritten(path: Path) -> Iterator[BinaryIO]:
    """Write a file anew, whole or not at all: what is written within takes its place at the end.

    It keeps the mode and the owner that it had. See `written_whole`.

    Raises:
        OSError: It cannot be written, or not put in its place.
    """
    with written_whole(path, replaces=True) as fresh, fresh.open("wb") as out:
        yield out
        out.flush()
        _make_alike(out, path)


def _make_alike(out: BinaryIO, place: Path) -> None:
    """Give a file the owner and the mode of the one whose place it takes, if there is one."""
    try:
        before = place.stat()
    except FileNotFoundError:
        return
    if hasattr(os, "fchown"):
        with suppress(PermissionError):  # only root gives files away; to a group one may not be in, neither
            os.fchown(out.fileno(), before.st_uid, before.st_gid)
        os.fchmod(out.fileno(), before.st_mode & 0o7777)
