"""Checksums of the rows that may be deleted, the inbox and the captures: what was changed shows.

They are not chained, since any of them may go. Which process has a notice is not covered: that changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeAlias

Column: TypeAlias = "str | int | bytes | None"


def seal(values: Sequence[Column]) -> str:
    """Return the checksum of what a row says, its columns in their order; null and the empty text differ."""
    hashed = blake2b(digest_size=16)
    for value in values:
        content = value if isinstance(value, bytes) else str(value).encode()
        hashed.update(f"{type(value).__name__} {len(content)} ".encode())
        hashed.update(content)
    return hashed.hexdigest()
