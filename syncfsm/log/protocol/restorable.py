"""Taking rows from elsewhere as they are: what an import needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from syncfsm.core.process import Process
from syncfsm.log.protocol.stored import StoredEvent


class Restorable(Protocol):
    """Writes rows that are events already."""

    def restore(self, rows: Iterable[StoredEvent], after: Callable[[], Iterable[Process]]) -> None:
        """Write rows as they are, digests included, all or none, and make the read model of their processes.

        Positions are given anew, in the order of the rows. Whoever calls this has checked that the rows
        chain to what is in the log, and fit it.

        Args:
            rows: Read to the end within the transaction; what they raise undoes all of it.
            after: Asked when the rows are written: the states that they lead to, one for each process.

        Raises:
            VersionConflict: A version is there already. Nothing was written.
            ActiveSync: A state would be a second active one of the same source object. Likewise.
            LogUnwritable: The log cannot be written now. Likewise.
        """
        ...
