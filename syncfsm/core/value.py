"""The base of every value in the core."""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The base of every value in the core: frozen, compared by content, strict when decoded.

    What is frozen can't come to hold itself, so the garbage collector need not look at it (`gc=False`).
    """
