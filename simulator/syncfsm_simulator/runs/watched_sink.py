"""The sink of a run, watched: what it has of somebody and then has not any more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from syncfsm.core.failure import Failure
from syncfsm.items.contact import Contact
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.sqlite import SqliteSink

WATCHED = ("first_name", "last_name", "company", "role", "phone_numbers", "emails")

_SQL = f"""
    SELECT external_id, {", ".join(WATCHED)} FROM contacts
    WHERE deleted_at IS NULL AND external_id IN (SELECT value FROM json_each(?))
"""  # noqa: S608 - ours


class WatchedSink(SqliteSink):
    """Contacts in SQLite, with an eye on every upsert.

    Attributes:
        blanked: The ids of people who had a value in a field and lost it, each with the field.
    """

    blanked: frozenset[tuple[str, str]] = frozenset()

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Let the sink write, and see what is gone then."""
        ids = {item.external_id for item in items}
        before = self._values(ids)
        result = await super().upsert(items)
        if before:
            self.blanked |= before - self._values(ids)
        return result

    def _values(self, ids: set[str]) -> frozenset[tuple[str, str]]:
        """Return which fields of these people have a value."""
        rows = self.connection().execute(_SQL, [msgspec.json.encode(sorted(ids)).decode()])
        return frozenset(
            (row[0], name)
            for row in rows
            for name, value in zip(WATCHED, row[1:], strict=True)
            if value not in {None, "", "[]"}
        )
