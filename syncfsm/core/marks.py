"""What a sink says of itself: who it is, and how far each source object got in it. Pure.

The log says what was delivered; only the sink knows what of that it has. A file may be an older copy that was
put back, another one of the same name, or the same one elsewhere. So its id and its marks are compared with
the log before anything is believed, and of the two the older counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from syncfsm.core.process import Process
from syncfsm.core.value import Value

SINK_ID = "sink_id"
"""What the id of a sink is called among what the checks found."""

ID_SHOWN = 8
"""As much of an id is enough to tell two sinks of one name apart."""


class Mark(Value, frozen=True):
    """How far a source object got in a sink.

    Attributes:
        source: The name of the source.
        object: The kind of its records.
        process: The process that wrote last.
        version: The version that it had when it handed over what it wrote.
        watermark: That of the last sync that was completed; null where none was.
    """

    source: str
    object: str
    process: str
    version: int
    watermark: datetime | None = None


class Lost(Value, frozen=True):
    """What a sink has not that was written into it, by the log.

    Attributes:
        processes: Those that wrote it.
        has_pruned: Whether some of it was written by processes of which the log does not say more, since they
            were pruned.
    """

    processes: tuple[Process, ...] = ()
    has_pruned: bool = False

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.processes) or self.has_pruned

    def takes_up_at(self, changed_by: str | None) -> datetime | None:
        """Return where an ongoing sync takes up that is to bring it again. See `takes_up_at`."""
        return None if self.has_pruned else takes_up_at(self.processes, changed_by)


def known_as(name: str, sink_id: str | None, ids: Sequence[tuple[str, str | None]]) -> str:
    """Return what a log calls a sink, and so what is stored of it: what came into it is found by that.

    Args:
        name: What the sink calls itself, which says where its file is, seen from the working folder.
        sink_id: Its id; null where it has none.
        ids: What the log calls sinks, each with an id that it had last; null from before there were ids.
    """
    if sink_id is None:
        return name
    same = next((known for known, id_ in ids if id_ == sink_id), None)
    if same is not None:
        return same
    is_taken = any(known == name and id_ is not None for known, id_ in ids)
    return f"{name}#{sink_id[:ID_SHOWN]}" if is_taken else name


def plain_name(known: str) -> str:
    """Return the name of a sink as it is opened by: without what tells it from others of that name."""
    name, separator, more = known.rpartition("#")
    is_id = len(more) == ID_SHOWN and set(more) <= set("0123456789abcdef")
    return name if separator and is_id else known


def takes_up_at(lost: Sequence[Process], changed_by: str | None) -> datetime | None:
    """Return where an ongoing sync takes up that is to bring again what these have brought.

    `None` where it cannot: an ongoing sync brings what other ongoing ones that asked alike did, and neither
    what webhooks told of nor what a sync of all records found.
    """
    moments = [
        process.since + timedelta(seconds=process.options.overlap_s)
        for process in lost
        if process.since is not None and process.changed_by == changed_by
    ]
    return min(moments) if moments and len(moments) == len(lost) else None
