"""Sinks that are files: whether two names are of one, however its path is written, and one that is not there.

See files/paths.py for how a path becomes a name.
"""

from __future__ import annotations

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.files.paths import file_name, split_url
from syncfsm.sinks.postgres.same_place import KIND as POSTGRES
from syncfsm.sinks.postgres.same_place import kind_of, whereabouts

FILE_SINKS = ("sqlite", "jsonl")
"""The kinds of sinks that are a file."""


def is_same(sink: str, other: str) -> bool:
    """Whether two names are of one sink; an older log may have one as it was written then."""
    return sink == other or _place(sink) == _place(other)


def _place(sink: str) -> object:
    kind, path = split_url(sink)
    if kind_of(sink) == POSTGRES:
        return whereabouts(sink)
    return f"{kind}:{file_name(path)}" if kind in FILE_SINKS and path else sink


def replaced(sink: str) -> Failure:
    """Return what has become of a sink whose file is not the one that was opened, or was cut short."""
    return Failure(
        kind=FailureKind.REPLACED,
        message=f"the file of the sink {sink} was moved, removed, cut short or replaced while it was in use, "
        "so that what was written into it is not there: put it back, then run again.",
    )
