"""A file that is there whole or not at all: made beside its place by a name of its own, and moved there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp


@contextmanager
def written_whole(path: Path, *, replaces: bool) -> Iterator[Path]:
    """Yield an empty file that only its owner may read, to be written; let it take its place at the end.

    Where anything is raised, nothing is left of it, and what was at its place is as it was.

    Args:
        path: Its place. A link stays one: what it leads to is replaced.
        replaces: Whether what is there by then is replaced.

    Raises:
        FileExistsError: Something is there, and is not to be replaced.
        OSError: It cannot be made.
    """
    place = path.resolve()
    descriptor, name = mkstemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent)
    os.close(descriptor)
    made = Path(name)
    try:
        yield made
        _synced(made)
        if replaces:
            made.replace(place)
        else:
            _take(made, place)
        _synced(place.parent)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _take(made: Path, place: Path) -> None:
    """Let a file take a place where there is nothing; whoever makes something there at that moment wins."""
    place.touch(exist_ok=False)
    try:
        made.replace(place)
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def _synced(path: Path) -> None:
    """Let a file, or the names in a folder, survive a power cut."""
    with suppress(PermissionError):  # where the system opens no folders, it needs no more
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
