"""What a file is called: its path in a URL, and a name that is the same however the path is written.

A sink's name is in every log, and what has come into the sink is found by it. So `c.db`, `./c.db`, a link to
it and its whole path are one. In the working folder it is short, and says nothing of the machine.
"""

from __future__ import annotations

from pathlib import Path

MEMORY = ":memory:"
"""What SQLite calls a database that is no file, and gone when it is closed."""


def split_url(url: str) -> tuple[str, str]:
    """Return the kind and the path of `sqlite:c.db` or `sqlite://c.db`; of `c.db`, that and no path."""
    kind, _, path = url.partition(":")
    return kind, path.removeprefix("//")


def path_in(url: str | Path) -> str:
    """Return the path of a log's file: `sync.db` of `sqlite:sync.db`, and of itself."""
    kind, path = split_url(str(url))
    return path if kind == "sqlite" and path else str(url)


def file_name(path: str | Path) -> str:
    """Return a file's path from the working folder, or the whole path of one that is elsewhere."""
    if str(path) == MEMORY:
        return MEMORY
    whole, folder = Path(path).resolve(), Path.cwd().resolve()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, by links of whatever kind too; it need not be there yet."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
