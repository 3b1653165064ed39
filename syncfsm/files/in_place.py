"""Whether an open file is still the one at its path: what is written to one that is not, nobody will read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def identity(place: Path | None) -> tuple[int, int] | None:
    """Return what tells the file at a path from another that is put in its place; null if none is there."""
    try:
        found = place.stat() if place is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


class InPlace:
    """An open file as it was at its path; asked again, it says whether that is still so.

    Args:
        path: Where it is.
        may_shrink: Tells of one that became shorter whether that may be, without anybody having cut it.
    """

    def __init__(self, path: Path, *, may_shrink: Callable[[Path], bool] = lambda _path: False) -> None:
        self._path = path.absolute()
        self._may_shrink = may_shrink
        self._identity = identity(self._path)
        self._bytes = 0
        self.is_kept()

    def is_kept(self) -> bool:
        """Whether it is there, no other is, and it is not shorter than it was when this was asked before."""
        try:
            found = self._path.stat()
        except OSError:
            return False
        if (found.st_dev, found.st_ino) != self._identity:
            return False
        if found.st_size < self._bytes and not self._may_shrink(self._path):
            return False
        self._bytes = found.st_size
        return True
