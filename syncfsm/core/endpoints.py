"""Whether a source and a sink are still what they were: a key may be exchanged, a file deleted.

The name of a source does not tell: it is the same for every key. What its check finds does, and is in the log
with each process. Nor does the name of a sink, whose file is made anew where it is missing. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncfsm.core.failure import Failure, FailureKind

KEYS = ("workspace_id", "workspace")
"""What tells a workspace, by what a check found; the first one that both have counts. Names can change."""


def moved(source: str, sink: str, *, found: Mapping[str, str], before: Mapping[str, str]) -> Failure | None:
    """Return why a source cannot be gone on with, if its key is of another workspace than before.

    Args:
        source: The name of the source.
        sink: The name of the sink that has what came before.
        found: What the check of the source finds now.
        before: What it found when the process, or the last one into this sink, began to fetch.
    """
    key = next((key for key in KEYS if found.get(key) and before.get(key)), None)
    if key is None or found[key] == before[key]:
        return None
    return Failure(
        kind=FailureKind.ELSEWHERE,
        message=f"the key of {source} is of the workspace {_named(found)}, but {sink} has been filled from "
        f"{_named(before)}, which would be taken for gone: set the key of that one, or give this one a log "
        "and a sink of its own.",
    )


def emptied(sink: str) -> Failure:
    """Return why a sync cannot go on from what came into a sink, if that is not there any more."""
    return Failure(
        kind=FailureKind.EMPTIED,
        message=f"{sink} has nothing any more of what the log says was delivered into it, and this sync "
        "would bring only the rest: put it back, or name it where it is now; a new sync of all (--fresh) "
        "brings everybody.",
    )


def put_back(sink: str) -> Failure:
    """Return why a sync cannot go on from what came into a sink, if an older copy of it was put back."""
    return Failure(
        kind=FailureKind.PUT_BACK,
        message=f"{sink} has not what the log says was delivered into it, as if an older copy of it had been "
        "put back, and this sync would bring only the rest: run a sync, which brings again what is missing, "
        "or one of all (--fresh); or put the right one back.",
    )


def mixed_up(sink: str, source: str, other: str) -> Failure:
    """Return why a source may not come into a sink with items of another, whose ids may be the same."""
    return Failure(
        kind=FailureKind.MIXED,
        message=f"{sink} has the records of {other}, whose ids may be those of other records of {source}, "
        "which would take their places: give each a sink of its own.",
    )


def _named(found: Mapping[str, str]) -> str:
    return found.get("workspace") or found["workspace_id"]
