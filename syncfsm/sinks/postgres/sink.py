"""A table of contacts in PostgreSQL: one row for each (source, external id).

A contact whose record is gone is only marked, in `deleted_at`; if the record comes back, so does the contact.
Columns, defaults, triggers and views that somebody added are left as they are. What is done to the table, and
in which transactions, is in contacts.py; by which connection, in session.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from syncfsm.core.blanking import Blanking
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.marks import Mark
from syncfsm.core.times import format_time
from syncfsm.items.contact import Contact
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.sinks.postgres.contacts import Contacts
from syncfsm.sinks.postgres.place import placed
from syncfsm.sinks.postgres.rows import by_key, without_unsendable
from syncfsm.sinks.postgres.session import Session
from syncfsm.sinks.protocol import UpsertResult

LOCK_TIMEOUT_S = 5.0
"""How long to wait for another writer before the page is tried again."""


class PostgresSink:
    """Contacts in a table of PostgreSQL.

    Args:
        url: As libpq takes it, with `schema` and `table` as two more parameters:
            `postgresql://user@host/database?schema=public&table=contacts`.
        password: What is used where the URL has none; if empty, libpq looks for it by itself (`PGPASSWORD`,
            `~/.pgpass`).
        clock: For `synced_at`, the time of the last change of a row, and `deleted_at`.
        lock_timeout_s: How long to wait for another writer before the page is tried again.
        rng: Chance, for the sink's id; from the operating system if `None`.

    Raises:
        ConfigurationError: The URL cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        password: str = "",
        clock: Clock | None = None,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        rng: random.Random | None = None,
    ) -> None:
        self._place = placed(url, password)
        self.name = self._place.name
        self._clock = clock or SystemClock()
        self._contacts = Contacts(self._place, rng or random.SystemRandom())
        self._session = Session(self._place, lock_timeout_s)
        self._seen: tuple[str | None, tuple[Mark, ...]] = (None, ())

    async def check(self) -> dict[str, str] | Failure:
        """Check that the table is there, or can be made, and can be written."""
        failure = await self._session.run(self._contacts.find)
        return failure or {"sink": self.name}

    async def inspect(self) -> dict[str, str] | Failure:
        """See `Inspectable.inspect`."""
        return await self._session.run(self._contacts.inspected)

    async def is_empty(self) -> bool:
        """See `Emptiable.is_empty`; contacts that are marked as deleted count."""
        return await self._session.run(self._contacts.is_empty) is True

    def sink_id(self) -> str | None:
        """See `Marked.sink_id`."""
        return self._standing()[0]

    def marks(self) -> tuple[Mark, ...]:
        """See `Marked.marks`."""
        return self._standing()[1]

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Write the contacts that are new or changed, in one transaction."""
        return await self._give(items, None)

    async def upsert_marked(self, items: Sequence[Contact], mark: Mark) -> UpsertResult | Failure:
        """See `Marked.upsert_marked`."""
        return await self._give(items, mark)

    async def set_mark(self, mark: Mark) -> Failure | None:
        """See `Marked.set_mark`."""
        done = await self._give((), mark)
        return done if isinstance(done, Failure) else None

    async def would_blank(self, items: Sequence[Contact]) -> Blanking | Failure:
        """See `Foretelling`."""
        sendable, _ = without_unsendable(by_key(items))
        return await self._session.run(partial(self._contacts.would_blank, contacts=sendable))

    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Mark contacts as deleted, in one transaction. See `Deleting`."""
        at = format_time(self._clock.now())
        return await self._session.run(
            partial(self._contacts.delete, source=source, record_ids=record_ids, at=at)
        )

    async def known(self, source: str) -> frozenset[str] | Failure:
        """Return the external ids that are not marked. See `Enumerable`."""
        return await self._session.run(partial(self._contacts.known, source=source))

    async def finish(self) -> Failure | None:
        """See that the table is the one that was written into; nothing else is left to do."""
        return await self._session.run(self._contacts.find)

    async def aclose(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._session.close)
        self._contacts.forget()

    async def _give(self, items: Sequence[Contact], mark: Mark | None) -> UpsertResult | Failure:
        sendable, rejects = without_unsendable(by_key(items))
        at = format_time(self._clock.now())
        done = await self._session.run(partial(self._contacts.write, contacts=sendable, mark=mark, at=at))
        if isinstance(done, Failure) or not rejects:
            return done
        return replace(done, rejects=(*rejects, *done.rejects))

    def _standing(self) -> tuple[str | None, tuple[Mark, ...]]:
        """Return what the sink says of itself; what it said last while the server cannot be asked.

        One short question on the event loop, as one of a file would be; a connection that was lost since the
        last one is made again.
        """
        was_open = self._session.is_open
        found = self._session.now(self._contacts.standing)
        if was_open and isinstance(found, Failure) and found.kind is FailureKind.UNAVAILABLE:
            found = self._session.now(self._contacts.standing)
        if not isinstance(found, Failure):
            self._seen = found
        return self._seen
