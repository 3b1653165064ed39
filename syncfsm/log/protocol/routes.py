"""What is asked of processes by their route: which is active, which came last, how far they got."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from syncfsm.core.events import Mode
from syncfsm.core.process import Process
from syncfsm.core.routes import Side
from syncfsm.core.state import Route


class Routes(Protocol):
    """Tells of processes by what they bring where. `log/routes.py` answers it for any backend."""

    def active(self, source: str, object_: str) -> Process | None:
        """Return the active process of this source object, if any."""
        ...

    def recent(self, *, over_max: int) -> list[Process]:
        """Return all active processes, oldest first, then those over or failed that moved last, last first.

        Args:
            over_max: The most of the latter.
        """
        ...

    def routes(self, source: str | None = None) -> list[Route]:
        """Return what was ever brought where, each once: of a source, or of all."""
        ...

    def latest(
        self, source: str, object_: str, sink: str, *, mode: Mode | None = "initial"
    ) -> Process | None:
        """Return the process that began last for this source object and sink, if any.

        Args:
            source: The name of the source.
            object_: The kind of its records.
            sink: The name of the sink.
            mode: Of this mode; of any if `None`.
        """
        ...

    def last_begun(self, source: str, object_: str, sink: str) -> Process | None:
        """Return the initial or ongoing sync of this source object into this sink that began last, if any."""
        ...

    def last_completed(self, source: str, object_: str, sink: str) -> Process | None:
        """Return the initial or ongoing sync of this source object into this sink completed last, if any."""
        ...

    def last_found(self, source: str, sink: str) -> dict[str, str] | None:
        """Return what the checks saw when a process last began to fetch from this source into this sink."""
        ...

    def last_sync_time(
        self, source: str, object_: str, sink: str, *, changed_by: str | None = None
    ) -> datetime | None:
        """Return where an ongoing sync of this source object into this sink takes up, if it can.

        That is the latest watermark since the last initial sync that was completed, its own included; so that
        one mends what a wrong clock made. Of ongoing ones, those count that asked alike: new or changed.

        Args:
            source: The name of the source.
            object_: The kind of its records.
            sink: The name of the sink.
            changed_by: The attribute that says when a record last changed; `None` where it asks by creation.
        """
        ...

    def sides(self, source: str, object_: str | None = None, sink: str | None = None) -> Sequence[Side]:
        """Return what the processes of a source come to: of one object or of all, of one sink or of all.

        Whoever asks several things of a route at once asks this, and `core.routes` for what follows from it.
        """
        ...

    def moved_since(self, source: str, object_: str, sink: str, *, position: int) -> list[Process]:
        """Return the processes of a route that began behind a position, or went on there after a failure.

        One that was active there may have moved on, too: whoever asks knows it.

        Args:
            source: The name of the source.
            object_: The kind of its records.
            sink: The name of the sink.
            position: The place of an event.
        """
        ...

    def items_left_by_syncs(self, source: str, object_: str, sink: str) -> int:
        """Return how many items completed syncs have left in a sink, from the last initial one on."""
        ...

    def webhook_sink(self, source: str, object_: str) -> str | None:
        """Return the sink that the webhooks of this source object go to: the first that took any."""
        ...
