"""Taking rows from elsewhere as they are: what an import needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from syncfsm.core.process import Process
from syncfsm.log.protocol.stored import StoredEvent, StoredPruning


class Restorable(Protocol):
    """Writes rows that are events already."""

    def restore(
        self,
        rows: Iterable[StoredEvent],
        after: Callable[[], Iterable[Process]],
        prunings: Sequence[StoredPruning] = (),
    ) -> None:
        """Write rows as they are, digests included, all or none, and make the read model of their processes.

        Positions are given anew, in the order of the rows, unless there are prunings, which speak of those
        that the rows have. Whoever calls this has checked that the rows chain to what is in the log, and fit
        it.

        Args:
            rows: Read to the end within the transaction; what they raise undoes all of it.
            after: Asked when the rows are written: the states that they lead to, one for each process.
            prunings: What stands for events that were pruned from the log that the rows are of; only for a
                log without events.

        Raises:
            VersionConflict: A version is there already. Nothing was written.
            ActiveSync: A state would be a second active one of the same source object. Likewise.
            LogUnwritable: The log cannot be written now. Likewise.
        """
        ...
