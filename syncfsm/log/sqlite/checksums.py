"""Checksums of the rows that may be deleted, the inbox and the captures: a flipped bit shows, as in events.

They are not chained, since any of them may go; so each is by itself. A notice is given to one process after
another, and that must not vouch for the rest of its row anew. So its checksum has two parts: of what came,
and, after it, of the process that has it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import TypeAlias

from syncfsm.log.salvage.btree import Cell, Column, Image, Tree, cells
from syncfsm.log.salvage.remains import roots

SEALED = {"inbox": "the inbox", "captures": "the captures"}
"""The tables, and what they are called."""

_LATER = {"digest", "process"}
"""The columns that the first part does not cover."""

_DIGEST_CHARS = 32

_Value: TypeAlias = "Column | str"


def digest_of(values: Mapping[str, _Value]) -> str:
    """Return the digest of a row, whatever the order of its columns.

    What is null does not count: a column that comes later leaves the digests as they are.
    """
    hashed = blake2b(digest_size=_DIGEST_CHARS // 2)
    for name in sorted(values.keys() - _LATER):
        if (value := values[name]) is not None:
            kind, content = _plain(value)
            hashed.update(f"{name} {kind} {len(content)} ".encode())
            hashed.update(content)
    return hashed.hexdigest()


def _checksum(values: Mapping[str, _Value]) -> str:
    digest, process = digest_of(values), values.get("process")
    return digest if process is None else _with_process(digest, process)


def _plain(value: _Value) -> tuple[str, bytes]:
    """Return the type of a value, and its bytes."""
    if isinstance(value, str):
        return "text", value.encode(errors="surrogateescape")
    if isinstance(value, bytes):  # as a file has a text
        return "text", value
    if isinstance(value, memoryview):
        return "blob", value.tobytes()
    return "number", str(value).encode()


def _with_process(digest: str, process: _Value) -> str:
    """Return a checksum with its second part."""
    kind, content = _plain(process)
    of_process = blake2b(f"{digest} {kind} ".encode() + content, digest_size=_DIGEST_CHARS // 2)
    return digest + of_process.hexdigest()


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def seal(connection: sqlite3.Connection, table: str, row_id: int | None) -> None:
    """Give a row its checksum, within the transaction that wrote it."""
    with _undecoded(connection):
        cursor = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (row_id,))  # noqa: S608 - ours
        row = cursor.fetchone()
    names = [name for name, *_ in cursor.description]
    values = dict(zip(names, (_as_stored(value) for value in row), strict=True))
    connection.execute(f"UPDATE {table} SET digest = ? WHERE id = ?", (_checksum(values), row_id))  # noqa: S608


def given(digest: str, process_id: str) -> str:
    """Return the checksum of a notice that is given to a process; `digest` is the one that it had."""
    return _with_process(digest[:_DIGEST_CHARS], process_id)


def _as_stored(value: object) -> _Value:
    """Return a value as the bytes of a file give it: SQLite gives blobs as bytes, and texts decoded."""
    return memoryview(value) if isinstance(value, bytes) else value  # type: ignore[return-value] # of a table


@contextmanager
def _undecoded(connection: sqlite3.Connection) -> Iterator[None]:
    """Let texts be read that are none: what is damaged already is sealed as it is."""
    factory = connection.text_factory
    connection.text_factory = lambda text: text.decode(errors="surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = factory


# ── looking ──────────────────────────────────────────────────────────────────────────────────


def row_doubts(image: Image, columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what is wrong with the rows of the sealed tables, read from the bytes of a file.

    Args:
        image: The file.
        columns: The names of the columns of each table that has checksums.
    """
    found = roots(image)
    for table, names in columns.items():
        for leaf in Tree(image, found.get(table, 0)).leaves():
            for cell in cells(image, leaf):
                problem = cell.problem or _mismatch(cell, names)
                if problem:
                    yield f"row {cell.rowid} of {SEALED[table]}: {problem}"


def _mismatch(cell: Cell, names: Sequence[str]) -> str | None:
    """Return what a checksum says against its row, null if they agree."""
    columns = cell.columns or ()
    if len(columns) > len(names):
        return f"it has {len(columns)} columns, and its table has {len(names)}"
    values: dict[str, _Value] = dict.fromkeys(names)
    values.update(zip(names, columns, strict=False))  # one that was added later is in no older row
    if values["id"] is not None:
        return "its number is stored twice"
    values["id"] = cell.rowid
    digest = values["digest"]
    if digest is None:
        return "it has no checksum: an older syncfsm wrote it beside a newer one, or it was put there"
    is_same = isinstance(digest, bytes) and digest == _checksum(values).encode()
    return None if is_same else "it was changed: its checksum does not match"
