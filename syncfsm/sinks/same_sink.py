"""Whether two names are of one sink; of one that is a file, however its path is written (files/paths.py)."""

from __future__ import annotations

from syncfsm.files.paths import file_name, split_url

FILE_SINKS = ("sqlite", "jsonl")
"""The kinds of sinks that are a file."""


def is_same(sink: str, other: str) -> bool:
    """Whether two names are of one sink; an older log may have one as it was written then."""
    return sink == other or _place(sink) == _place(other)


def _place(sink: str) -> str:
    kind, path = split_url(sink)
    return f"{kind}:{file_name(path)}" if kind in FILE_SINKS and path else sink
