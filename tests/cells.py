"""Where each event, or other row, lies in the bytes of a SQLite log: by a walker that is none of ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def places_of_events(path: Path) -> dict[int, list[int]]:
    """Return, by position, the offset in the file of every byte of each event's cell, overflow included."""
    return places_of_rows(path, "events")


def places_of_rows(path: Path, table: str) -> dict[int, list[int]]:
    """Return the same of the rows of any table, by their numbers."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    return _Walker(path.read_bytes(), page_bytes).table(root)


class _Walker:
    def __init__(self, data: bytes, page_bytes: int) -> None:
        self.data = data
        self.page_bytes = page_bytes

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "big")

    def varint(self, at: int) -> tuple[int, int]:
        value, start = 0, at
        while at < start + 8 and self.data[at] & 0x80:
            value = (value << 7) + (self.data[at] & 0x7F)
            at += 1
        assert at < start + 8, "no event has numbers that long"
        return (value << 7) + self.data[at], at + 1

    def table(self, page: int) -> dict[int, list[int]]:
        base = (page - 1) * self.page_bytes
        assert page > 1, "page 1 is the schema"
        kind, count = self.data[base], self.number(base + 3, 2)
        first = base + (8 if kind == 0x0D else 12)
        cells = [base + self.number(first + 2 * index, 2) for index in range(count)]
        if kind == 0x0D:
            return dict(self.cell(cell) for cell in cells)
        assert kind == 0x05
        children = [self.number(cell, 4) for cell in cells] + [self.number(base + 8, 4)]
        found: dict[int, list[int]] = {}
        for child in children:
            found |= self.table(child)
        return found

    def cell(self, start: int) -> tuple[int, list[int]]:
        size, at = self.varint(start)
        rowid, at = self.varint(at)
        usable = self.page_bytes
        local = size
        if size > usable - 35:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (usable - 4)
            local = local if local <= usable - 35 else least
        end = at + local + (4 if local < size else 0)
        places, left = list(range(start, end)), size - local
        following = self.number(at + local, 4) if left else 0
        while left:
            base = (following - 1) * self.page_bytes
            here = min(left, usable - 4)
            places += range(base, base + 4 + here)
            following, left = self.number(base, 4), left - here
        return rowid, places
