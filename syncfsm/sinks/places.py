"""What a sink that is a file is called: the same, however its path is written.

The name is in every log, and what has come into a sink is found by it. So `c.db`, `./c.db`, a link to it and
its whole path are one. In the working folder it is short, and says nothing of the machine.
"""

from __future__ import annotations

from pathlib import Path

FILE_SINKS = ("sqlite", "jsonl")
"""The kinds of sinks that are a file."""


def file_name(path: str | Path) -> str:
    """Return a file's path from the working folder, or the whole path of one that is elsewhere."""
    if str(path) == ":memory:":
        return str(path)
    whole, folder = Path(path).resolve(), Path.cwd().resolve()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def is_same(sink: str, other: str) -> bool:
    """Whether two names are of one sink; an older log may have one as it was written then."""
    return sink == other or _place(sink) == _place(other)


def _place(sink: str) -> str:
    kind, _, path = sink.partition(":")
    return f"{kind}:{file_name(path)}" if kind in FILE_SINKS and path else sink
