"""The pages of a SQLite file, read without SQLite: tables, leaves, cells and records.

SQLite refuses a damaged file as a whole, reads a damaged cell without a word where it can, and does not say
which row a bit was flipped in. So verification and salvage read the bytes themselves, by the file format
(https://www.sqlite.org/fileformat2.html), and hold each cell to it: what its header says must be all it has.
Only tables are read, and nothing is ever written. This file knows nothing of events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from mmap import mmap
from typing import NamedTuple, TypeAlias

HEADER_BYTES = 100
PAGE_BYTES = (4096, 1024, 8192, 16384, 32768, 65536, 2048, 512)
"""The sizes that a page can have, the usual one first."""
DEPTH_MAX = 20
"""Levels of a tree; SQLite's own limit."""

_MAGIC = b"SQLite format 3\0"
_LEAF, _INTERIOR = 0x0D, 0x05
_INTEGER_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}

Column: TypeAlias = "int | float | bytes | memoryview | None"
"""A stored value: text as its bytes, which may be no UTF-8; a blob as a view, to be told from text."""


class Malformed(Exception):
    """Bytes that are no cell, record or page; the words say why."""


class Cell(NamedTuple):
    """One row of a table as its leaf has it.

    `columns` is `None` where no record can be made of it. `problem` is empty where the cell is as SQLite
    writes them, and may say something also where the columns could be read.
    """

    rowid: int
    columns: tuple[Column, ...] | None
    problem: str


class Image:
    """The bytes of a SQLite file, by pages."""

    def __init__(self, data: bytes | mmap, page_bytes: int | None = None) -> None:
        self._data = data
        self.page_bytes = page_bytes or _page_bytes(data[:HEADER_BYTES])
        self.usable_bytes = self.page_bytes - (data[20] if len(data) > 20 else 0)
        if self.usable_bytes < 480:  # SQLite's least: a header that says less is damaged
            self.usable_bytes = self.page_bytes
        self.page_count = -(-len(data) // self.page_bytes)

    @property
    def is_sqlite(self) -> bool:
        """Whether it begins as every SQLite file does, or was cut before it could."""
        return len(self._data) > 0 and _MAGIC.startswith(self._data[:16])

    @property
    def is_stump(self) -> bool:
        """Whether not even its header is whole."""
        return self.is_sqlite and len(self._data) < HEADER_BYTES

    @property
    def pages_missing(self) -> int:
        """How many pages the file lacks of those that its header counts."""
        if len(self._data) < HEADER_BYTES:
            return 0
        return max(0, int.from_bytes(self._data[28:32]) - len(self._data) // self.page_bytes)

    def page(self, number: int) -> bytes:
        """Return a page, counted from 1; what a cut file lacks of it is zeros."""
        if not 1 <= number <= self.page_count:
            raise Malformed(f"there is no page {number} in this file")
        page = self._data[(number - 1) * self.page_bytes : number * self.page_bytes]
        return page.ljust(self.page_bytes, b"\0")

    def is_leaf(self, number: int) -> bool:
        """Whether a page says that it holds rows of a table."""
        at = (number - 1) * self.page_bytes + _header_at(number)
        return at < len(self._data) and self._data[at] == _LEAF


def _page_bytes(header: bytes) -> int:
    stated = int.from_bytes(header[16:18])
    size = 65536 if stated == 1 else stated
    return size if size in PAGE_BYTES else PAGE_BYTES[0]


def _header_at(number: int) -> int:
    return HEADER_BYTES if number == 1 else 0


class Tree:
    """The leaves of one table, in order; `troubles` is filled while they are walked."""

    def __init__(self, image: Image, root: int) -> None:
        self._image = image
        self._root = root
        self.visited: set[int] = set()
        self.troubles: list[str] = []

    def leaves(self) -> Iterator[int]:
        """Yield the numbers of the leaf pages; what cannot be walked is skipped and told."""
        return self._walk(self._root, 0)

    def _walk(self, number: int, depth: int) -> Iterator[int]:
        try:
            page, kind = self._opened(number, depth)
        except Malformed as error:
            self.troubles.append(str(error))
            return
        self.visited.add(number)
        if kind == _LEAF:
            yield number
            return
        for child in _children(page, _header_at(number)):
            yield from self._walk(child, depth + 1)

    def _opened(self, number: int, depth: int) -> tuple[bytes, int]:
        if number in self.visited or depth > DEPTH_MAX:
            raise Malformed(f"page {number} is in the tree twice")
        page = self._image.page(number)
        kind = page[_header_at(number)]
        if kind not in {_LEAF, _INTERIOR}:
            raise Malformed(f"page {number} is no page of a table")
        return page, kind


def _children(page: bytes, at: int) -> Iterator[int]:
    for offset in _pointers(page, at, header_bytes=12):
        yield int.from_bytes(page[offset : offset + 4])
    yield int.from_bytes(page[at + 8 : at + 12])


def _pointers(page: bytes, at: int, header_bytes: int) -> list[int]:
    """Return where the cells of a page begin, in the order of their keys."""
    count = int.from_bytes(page[at + 3 : at + 5])
    first = at + header_bytes
    count = min(count, (len(page) - first) // 2)
    return [int.from_bytes(page[place : place + 2]) for place in range(first, first + 2 * count, 2)]


def cells(image: Image, number: int) -> Iterator[Cell]:
    """Yield the rows of a leaf, each with what is wrong with it."""
    page = image.page(number)
    for offset in _pointers(page, _header_at(number), header_bytes=8):
        rowid = 0
        try:
            declared, at = _varint(page, offset)
            rowid, at = _varint(page, at)
            yield _cell(image, page, rowid, declared, at)
        except (Malformed, IndexError) as error:
            why = str(error) if isinstance(error, Malformed) else "it goes past the end of its page"
            yield Cell(rowid, None, f"its bytes in the file are no row: {why}")


def rowids(image: Image, number: int) -> list[int]:
    """Return the rowids of a leaf, as far as they can be read."""
    page, found = image.page(number), []
    for offset in _pointers(page, _header_at(number), header_bytes=8):
        with suppress(IndexError):
            _, at = _varint(page, offset)
            found.append(_varint(page, at)[0])
    return found


def _cell(image: Image, page: bytes, rowid: int, declared: int, at: int) -> Cell:
    """Read by the record's own header, which says the same as the cell where nothing is wrong."""
    header, serials = _serials(page, at)
    size = header + sum(map(_content_bytes, serials))
    payload, problem = _payload(image, page, at, size)
    if size != declared:
        problem = f"its cell in the file says it has {declared} bytes, and it has {size}"
    return Cell(rowid, tuple(_values(payload, header, serials)), problem)


def _serials(page: bytes, at: int) -> tuple[int, list[int]]:
    """Return the size of a record's header, and the type of each of its columns."""
    header, place = _varint(page, at)
    end = at + header
    if not place <= end <= len(page):
        raise Malformed("the header of its record goes past its page")
    serials = []
    while place < end:
        serial, place = _varint(page, place)
        serials.append(serial)
    if place != end:
        raise Malformed("the header of its record does not end where it says")
    return header, serials


def _content_bytes(serial: int) -> int:
    if serial < 0 or serial in {10, 11}:
        raise Malformed("a column has a type that SQLite never writes")
    return _INTEGER_BYTES[serial] if serial < 12 else (serial - 12) // 2


def _payload(image: Image, page: bytes, at: int, size: int) -> tuple[bytes, str]:
    """Return a record's bytes, from its page and the pages it flows over to; and what is odd about them."""
    local = _local_bytes(image.usable_bytes, size)
    if at + local > len(page) or size > image.page_count * image.page_bytes:
        raise Malformed("it goes past the end of its page")
    if local == size:
        return page[at : at + size], ""
    parts, left = [page[at : at + local]], size - local
    following = int.from_bytes(page[at + local : at + local + 4])
    for _ in range(-(-left // (image.usable_bytes - 4))):
        overflow = image.page(following)
        following = int.from_bytes(overflow[:4])
        part = overflow[4 : 4 + min(left, image.usable_bytes - 4)]
        parts.append(part)
        left -= len(part)
    return b"".join(parts), "its last page in the file names another after it" if following else ""


def _local_bytes(usable: int, size: int) -> int:
    """Return how many bytes of a record are in its leaf; the rest are in pages of their own."""
    most, least = usable - 35, (usable - 12) * 32 // 255 - 23
    if size <= most:
        return size
    wanted = least + (size - least) % (usable - 4)
    return wanted if wanted <= most else least


def _values(payload: bytes, at: int, serials: list[int]) -> Iterator[Column]:
    for serial in serials:
        end = at + _content_bytes(serial)
        yield _value(serial, payload[at:end])
        at = end


def _value(serial: int, content: bytes) -> Column:
    if serial >= 12:
        return content if serial % 2 else memoryview(content)
    if serial in {8, 9}:
        return serial - 8
    if serial == 7:
        return math.nan  # no table of ours has one
    return int.from_bytes(content, signed=True) if serial else None


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where what follows it begins."""
    value = 0
    for place in range(at, at + 8):
        byte = page[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    value = value << 8 | page[at + 8]
    return value - 2**64 if value >= 2**63 else value, at + 9
