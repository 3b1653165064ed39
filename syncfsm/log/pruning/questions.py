"""What the table `prunings`, and what is there to be pruned, say to questions: the same in every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from syncfsm.core.pruning import Pruning, Reach
from syncfsm.core.times import format_time, parse_time
from syncfsm.log.protocol.prunable import Candidate, Links
from syncfsm.log.pruning import rows


class Asked(Protocol):
    """A database that is asked by SQL."""

    def one(self, sql: str, values: tuple[Any, ...] = (), /) -> Any:
        """Return the first row; null if there is none."""
        ...

    def all(self, sql: str, values: tuple[Any, ...] = (), /) -> list[tuple[Any, ...]]:
        """Return all rows."""
        ...


class Questions:
    """The part of a `Prunable` that only asks.

    Args:
        asked: Who answers.
        sql: Returns a statement of `rows.py` as this database takes it.
        has: A condition on `data` that one value, a text, is somewhere in it.
    """

    def __init__(self, asked: Asked, sql: Callable[[str], str], *, has: str) -> None:
        self._asked = asked
        self._sql = sql
        self._has = has

    def pruning_of(self, process_id: str) -> Pruning | None:
        """See `Prunable.pruning_of`."""
        asked = self._sql(rows.WHERE.replace("{has}", self._has))
        found = (rows.from_row(row).pruning for row in self._asked.all(asked, (f'"{process_id}"',)))
        return next((pruning for pruning in found if pruning.gone(process_id)), None)

    def pruned_at(self) -> datetime | None:
        """See `Prunable.pruned_at`."""
        (at,) = self._asked.one(self._sql(rows.LAST_AT))
        return parse_time(at) if at else None

    def pruned_until(self, source: str, object_: str, sink: str) -> Reach:
        """See `Prunable.pruned_until`."""
        end, wrote = self._asked.one(self._sql(rows.REACH), (source, object_, sink))
        return Reach(end_position=end, wrote_position=wrote)

    def prunable(self, before: datetime) -> list[Candidate]:
        """See `Prunable.prunable`."""
        return list(map(rows.candidate, self._asked.all(self._sql(rows.CANDIDATES), (format_time(before),))))

    def links(self) -> Links:
        """See `Prunable.links`."""
        having = (
            self._asked.all(self._sql(rows.HAVING), (type_,)) for type_ in ("RecordRejected", "PageDelivered")
        )
        return rows.links(self._asked.all(self._sql(rows.PARENTS), (rows.CHILD,)), *having)
