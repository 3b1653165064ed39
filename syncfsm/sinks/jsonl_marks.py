"""What a JSON Lines sink says of itself, in a small file beside it: `people.jsonl.mark`.

The lines stay what they are to whoever reads them. So that an older copy of the lines is not taken for what
the marks speak of, these come with the length of the file and a digest of its last bytes up to there: what is
shorter or otherwise has no marks. While the lines are written anew, both the old and the new ones will do.
"""

from __future__ import annotations

import os
import secrets
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec.structs import replace

from syncfsm.core.marks import Mark
from syncfsm.core.value import Value
from syncfsm.files.private import rewritten
from syncfsm.outside.decoding import Decoder, Undecodable

TAIL_BYTES = 4096
"""So many of the last bytes tell one state of a file from another: each page ends in other lines."""


class Extent(Value, frozen=True):
    """The lines up to a place: how many bytes, and a digest of the last of them."""

    bytes: int
    digest: str


class _Said(Value, frozen=True):
    sink_id: str
    marks: tuple[Mark, ...] = ()
    extents: tuple[Extent, ...] = ()


_said = Decoder(_Said)


class MarkFile:
    """The file beside the lines.

    Args:
        lines: Where the lines are.
    """

    def __init__(self, lines: Path) -> None:
        self._lines = lines

    @property
    def path(self) -> Path:
        """Where it is: beside the lines themselves, not beside a link to them."""
        lines = self._lines.resolve()
        return lines.with_name(f"{lines.name}.mark")

    def sink_id(self) -> str | None:
        """Return the id, if there are lines and one was given."""
        said = self._read() if self._lines.exists() else None
        return said.sink_id if said else None

    def marks(self) -> tuple[Mark, ...]:
        """Return the marks, if the lines are those that they speak of."""
        said = self._read()
        return said.marks if said and any(map(self._fits, said.extents)) else ()

    def name(self) -> None:
        """Give the sink an id, if it has none yet."""
        if self._read() is None:
            self._write(self._fresh())

    def set(self, mark: Mark) -> None:
        """Set the mark of a source object, which speaks of the lines as they are; an earlier one is left."""
        marks = {(other.source, other.object): other for other in self.marks()}
        before = marks.get((mark.source, mark.object))
        if before is None or before.process != mark.process or before.version <= mark.version:
            marks[mark.source, mark.object] = mark
        said = self._read() or self._fresh()
        self._write(replace(said, marks=tuple(marks.values()), extents=(extent(self._lines),)))

    def also_of(self, fresh: Path) -> None:
        """Let the marks speak of other lines too, which are about to take the place of these."""
        said = self._read()
        if said is not None:
            extents = tuple(filter(self._fits, said.extents))
            self._write(replace(said, extents=(*extents, *([extent(fresh)] if extents else ()))))

    def _fits(self, of: Extent) -> bool:
        try:
            return extent(self._lines, of.bytes) == of
        except OSError:
            return False

    def _fresh(self) -> _Said:
        return _Said(sink_id=secrets.token_hex(16))

    def _read(self) -> _Said | None:
        """Return what it says; `None` where it is not there, or says nothing that could be believed."""
        try:
            return _said.decode(self.path.read_bytes())
        except (OSError, Undecodable):
            return None

    def _write(self, said: _Said) -> None:
        with rewritten(self.path) as out:
            out.write(msgspec.json.encode(said) + b"\n")


def extent(path: Path, end: int | None = None) -> Extent:
    """Return the extent of a file up to a place, or to its end.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        stop = length if end is None else min(end, length)
        start = file.seek(max(0, stop - TAIL_BYTES))
        return Extent(bytes=stop, digest=blake2b(file.read(stop - start), digest_size=16).hexdigest())
