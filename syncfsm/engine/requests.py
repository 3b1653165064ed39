"""What somebody asks for who wants a sync: one value, or the same by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, TypedDict

from msgspec.structs import replace

from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.core.value import Value

Leaves: TypeAlias = Callable[[float], bool]
"""Says whether to leave a process as it is, to be gone on with later, given the seconds until its next action
is due: 0 or less if it is."""

SyncMode = Literal["initial", "ongoing"]
"""What somebody may ask to be synced: everything, or what is new."""


class SyncRequest(Value, frozen=True):
    """One sync, as it is wanted.

    Attributes:
        mode: `initial` for all records; `ongoing` for those that are new since the last sync that was
            completed (or changed, where the source can tell), which is an initial one if none was.
        page_size: Records in a page; less than the most rows the source gives for one request. If `None`,
            what source and sink say that they take best, or 50. A process that is gone on with keeps its own
            then, and an active one always.
        order: `newest` or `oldest` first, or by `id`; the one that the source prefers if `None`. Of a process
            that is gone on with, as it began.
        options: The source's own with other limits, if not `None`: see `Source.options`.
        deletes_missing: Let the sink delete, once the sync is complete, what it has of this source and no
            page had. Only for a sink that has items of no other source that its items call the same.
    """

    mode: SyncMode = "initial"
    page_size: int | None = None
    order: Order | None = None
    options: Options | None = None
    deletes_missing: bool = False


class Wanted(TypedDict, total=False):
    """The fields of a `SyncRequest`, as arguments by name."""

    mode: SyncMode
    page_size: int | None
    order: Order | None
    options: Options | None
    deletes_missing: bool


def requested(request: SyncRequest | None, wanted: Wanted) -> SyncRequest:
    """Return a request with what is wanted otherwise; the usual one if there is none."""
    return replace(request or SyncRequest(), **wanted)


def with_own_limits(request: SyncRequest, unfinished: Callable[[], Process | None]) -> SyncRequest:
    """Return what to ask for again and again: an active process keeps its own limits, the next has others.

    Args:
        request: What is wanted.
        unfinished: Returns the process to go on with; asked only where there are other limits.
    """
    if request.options is None:
        return request
    found = unfinished()
    is_active = found is not None and found.is_active
    return replace(request, options=None) if is_active else request
