"""The events in the bytes of a SQLite log, however damaged: each in its place, with what is wrong with it.

Where the tree of the table is broken, every page of the file that holds events is taken. A place that no
longer says its position is told by its neighbours: positions have no gaps, so a row between 6 and 8 is 7.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice, pairwise
from statistics import median_low

from syncfsm.log.protocol import Scanned, StoredEvent
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning.rows import COLUMNS, from_row
from syncfsm.log.salvage.btree import Cell, Column, Image, Malformed, Tree, cells, rowids

AHEAD_MAX = 128
"""Rows looked at ahead, to tell a missing event from one whose position was changed."""

_TEXT, _NUMBER = bytes, int
_SHAPE = (type(None), _TEXT, _NUMBER, _TEXT, _NUMBER, _TEXT, _TEXT, _TEXT, _TEXT)
_NAMES = ("position", "stream", "version", "type", "schema", "at", "data", "meta", "digest")


def scan(image: Image) -> Iterator[Scanned]:
    """Yield every place of the events table, in order."""
    return _placed(_cells(image), position_given(image))


def roots(image: Image) -> dict[str, int]:
    """Return the first page of each table, as far as the file still says so."""
    found = {}
    for cell in _rows_of(image, 1):
        match cell.columns:
            case (b"table", bytes(name), _, int(root), *_):
                found[name.decode(errors="replace")] = root
    return found


def position_given(image: Image) -> int | None:
    """Return the last position given out, if the file still says so."""
    for cell in _rows_of(image, roots(image).get("sqlite_sequence", 0)):
        match cell.columns:
            case (b"events", int(last)):
                return last
    return None


def projection(image: Image) -> dict[str, int]:
    """Return the version of each process by the read model, as far as it can be read."""
    found = {}
    for cell in _rows_of(image, roots(image).get("processes", 0)):
        match cell.columns:
            case (bytes(name), _, _, _, _, int(version), *_) if not cell.problem:
                found[name.decode(errors="replace")] = version
    return found


def prunings(image: Image) -> list[StoredPruning]:
    """Return what was pruned, as far as it can be read."""
    found = []
    for cell in _rows_of(image, roots(image).get("prunings", 0)):
        if cell.columns is not None and not cell.problem and len(cell.columns) == len(COLUMNS.split(", ")):
            values = [
                one.decode(errors="replace") if isinstance(one, bytes) else one for one in cell.columns[1:]
            ]
            found.append(from_row((cell.rowid, *values)))
    return found


def _rows_of(image: Image, root: int) -> Iterator[Cell]:
    for leaf in Tree(image, root).leaves():
        yield from cells(image, leaf)


def _cells(image: Image) -> Iterator[Cell]:
    tree = Tree(image, roots(image).get("events", 0))
    leaves = _in_order(image, list(tree.leaves()))
    if tree.troubles:
        leaves = sorted([*leaves, *_strays(image, tree.visited)], key=lambda leaf: _middle(image, leaf))
    for leaf in leaves:
        yield from cells(image, leaf)


def _in_order(image: Image, leaves: list[int]) -> list[int]:
    """Return the leaves as they are, or by their rowids if pages have changed places in the file.

    Only a page that is in order within itself says where it belongs: one changed rowid moves no page.
    """
    found = [rowids(image, leaf) for leaf in leaves]
    sure = [numbers[0] for numbers in found if _is_run(numbers)]
    if sure == sorted(sure):
        return leaves
    return sorted(leaves, key=lambda leaf: _middle(image, leaf))


def _is_run(found: list[int]) -> bool:
    """Whether the rowids of a page bear each other out."""
    steps = [two - one for one, two in pairwise(found)]
    return bool(steps) and (set(steps) == {1} or (len(steps) > 1 and min(steps) > 0))


def _strays(image: Image, known: set[int]) -> Iterator[int]:
    """Yield the pages with events that the tree does not lead to."""
    for number in range(1, image.page_count + 1):
        if number not in known and image.is_leaf(number) and any(map(_is_event, cells(image, number))):
            yield number


def _is_event(cell: Cell) -> bool:
    return cell.columns is not None and tuple(map(type, cell.columns)) == _SHAPE


def _middle(image: Image, leaf: int) -> int:
    """Return a rowid of the page that a single changed one does not alter."""
    return median_low(rowids(image, leaf) or [0])


def _placed(found: Iterator[Cell], last: int | None) -> Iterator[Scanned]:
    expected = 1
    ahead: deque[Cell] = deque()
    while True:
        ahead.extend(islice(found, AHEAD_MAX - len(ahead)))
        if not ahead:
            return
        cell = ahead.popleft()
        position = cell.rowid if _is_in_place(cell, expected, ahead, last) else expected
        yield _scanned(cell, position)
        expected = position + 1


def _is_in_place(cell: Cell, expected: int, ahead: deque[Cell], last: int | None) -> bool:
    """Whether a row is where it says, after a gap perhaps; or says something else than it did."""
    following = [later.rowid - cell.rowid for later in islice(ahead, 2)]
    if cell.rowid == expected or following == [1, 2]:
        return True
    if cell.rowid < expected or (last is not None and cell.rowid > last):
        return False
    return all(later.rowid != expected + distance for distance, later in enumerate(ahead, start=1))


def _scanned(cell: Cell, position: int) -> Scanned:
    problem = cell.problem
    if cell.rowid != position:
        problem = problem or f"it says that its position is {cell.rowid}"
    if cell.columns is None:
        return Scanned(position=position, row=None, problem=problem)
    try:
        row, oddity = _row(cell.columns, position)
    except Malformed as error:
        return Scanned(position=position, row=None, problem=problem or str(error))
    return Scanned(position=position, row=row, problem=problem or oddity, is_doubtful=bool(cell.problem))


def _row(columns: tuple[Column, ...], position: int) -> tuple[StoredEvent, str]:
    """Return what the columns say, and what is odd about them."""
    if len(columns) != len(_SHAPE):
        raise Malformed(f"it is stored as no event is: it has {len(columns)} columns")
    oddities: list[str] = [] if columns[0] is None else ["its position is stored twice"]
    stream, type_, at, data, meta, digest = (
        _text(columns[place], _NAMES[place], oddities) for place in (1, 3, 5, 6, 7, 8)
    )
    row = StoredEvent(
        position=position,
        stream=stream,
        version=_number(columns[2], "version"),
        type=type_,
        schema=_number(columns[4], "schema"),
        at=at,
        data=data,
        meta=meta,
        digest=digest,
    )
    return row, "; ".join(oddities)


def _number(column: Column, name: str) -> int:
    if not isinstance(column, int):
        raise Malformed(f"it is stored as no event is: its {name} is no number")
    return column


def _text(column: Column, name: str, oddities: list[str]) -> str:
    if isinstance(column, memoryview):
        oddities.append(f"its {name} is stored as bytes, not as text")
        column = column.tobytes()
    if not isinstance(column, bytes):
        raise Malformed(f"it is stored as no event is: its {name} is no text")
    try:
        return column.decode()
    except UnicodeDecodeError:
        oddities.append(f"its {name} cannot be read as text (UTF-8)")
        return column.decode(errors="replace")
