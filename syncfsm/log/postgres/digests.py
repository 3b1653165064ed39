"""The digest that the next event of a process chains to, kept in mind: else each append would ask for it."""

from __future__ import annotations

from collections import OrderedDict

from syncfsm.log.postgres.session import Session

PROCESSES_MAX = 256
"""Processes kept in mind; of others, the log is asked."""

_DIGEST = "SELECT digest FROM {s}.events WHERE stream = %s AND version = %s"


class Digests:
    """Knows the last event of the processes that this log was used for last.

    It may be wrong of it, where others append: the append itself compares.

    Args:
        session: Asked where nothing is known.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def know(self, process_id: str, version: int, digest: str) -> None:
        """Keep in mind the last event of a process."""
        self._known[process_id] = (version, digest)
        self._known.move_to_end(process_id)
        if len(self._known) > PROCESSES_MAX:
            self._known.popitem(last=False)

    def at(self, process_id: str, version: int) -> str | None:
        """Return the digest of an event, the empty text before the first; null if there is no such event."""
        if version == 0:
            return ""
        known = self._known.get(process_id)
        if known is not None and known[0] == version:
            return known[1]
        found = self._session.one(_DIGEST, (process_id, version))
        return str(found[0]) if found else None
