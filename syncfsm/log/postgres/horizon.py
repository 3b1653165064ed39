"""How far a PostgreSQL log can be read so that nothing ever appears behind the place that was reached.

See `functions.py` for how that is known, and docs/decisions/0006 for why nothing simpler will do.
"""

from __future__ import annotations

from syncfsm.log.postgres.session import Session

_HORIZON = "SELECT {s}.horizon(%s)"


class Horizon:
    """The last position up to which all events there will ever be can be read.

    Args:
        session: Of the log.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known = 0

    def now(self) -> int:
        """Return it as it is now; within a snapshot, as it was when that was taken, or earlier.

        It never goes back, unless another log was put in the place of this one.
        """
        if not self._session.is_in_transaction:
            (self._known,) = self._session.one(_HORIZON, (self._known,))
        return self._known
