"""What webhooks told of, until a process has seen to it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from syncfsm.core.notices import Notice, Waiting


class Inbox(Protocol):
    """Takes notices and keeps them; `EventStore.append` gives them to a process."""

    def receive(self, notice: Notice) -> bool:
        """Put a notice into the inbox, safe against a power cut when this returns.

        Returns:
            Whether it is new: False, and nothing was written, if one with its key came before.

        Raises:
            LogUnwritable: The log cannot be written now; the notice is not in it.
        """
        ...

    def waiting(
        self, source: str, object_: str, *, until: datetime | None = None, now: datetime | None = None
    ) -> Waiting:
        """Return what waits in the inbox for a process of this source object, the oldest first.

        That is what no process took, or one that was cancelled; where there is none of these, what one took
        that has failed, the one that failed longest ago. At most `notices.RECORD_IDS_MAX` records, unless a
        single notice tells of more.

        Args:
            source: The name of the source.
            object_: The kind of its records.
            until: When it was received at the latest.
            now: What was received later than this, by a clock that was ahead, waits for `until` no longer.
        """
        ...

    def clear_inbox(self, before: datetime) -> int:
        """Delete the notices received before a moment whose process is complete; return how many."""
        ...
