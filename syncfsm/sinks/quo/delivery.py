"""One try to bring one page into Quo: look up, compare, write what is new or changed.

A write whose answer never came may have been done. The next try looks again, and where the look-up does not
show it yet, Quo's own 409 does: two contacts with one source and external id cannot be created. Nothing here
waits but for contacts that Quo has and does not show yet, in the injected clock's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from syncfsm.core.blanking import Blanking, blanking_of
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.items.contact import FIELDS, Contact
from syncfsm.outside.clock import Clock
from syncfsm.sinks.quo.api import BULK_MAX, EXTERNAL_IDS_MAX, QuoApi
from syncfsm.sinks.quo.in_flight import PASSING, each
from syncfsm.sinks.quo.mapping import Key
from syncfsm.sinks.quo.wire import Stored, kept, said, to_patch

if TYPE_CHECKING:
    from syncfsm.outside.http import Reply

T = TypeVar("T")

Written = Literal["created", "updated"]

SEEN_AFTER_S = (1.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""When to look for contacts that Quo has taken and does not show yet: after 1 s, 2, 4, 8, 16 and 32 s."""

SEEN_AFTER_S_MAX = sum(SEEN_AFTER_S)
"""What Quo does not show by then, it does not have."""

REFUSALS = frozenset({400, 409, 413, 422})
"""Statuses that say that one contact is at fault."""


_RESTLESS = Failure(
    kind=FailureKind.UNAVAILABLE, message="Quo has contacts come and go while they are written."
)


class Change(msgspec.Struct, frozen=True):
    """What to change of a contact that is there."""

    contact_id: str
    body: dict[str, Any]


class Ledger:
    """What the tries of a page did so far, so that its counts are those of all its tries together.

    Attributes:
        written: What became of contacts by our writing.
        sent: Contacts that were sent to be created, with no answer that says that they were.
    """

    def __init__(self) -> None:
        self.written: dict[Key, Written] = {}
        self.sent: set[Key] = set()

    def note(self, key: Key, written: Written) -> None:
        """Remember a write; what was created first stays created."""
        self.written.setdefault(key, "created" if key in self.sent else written)

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget a page that was delivered."""
        for key in keys:
            self.written.pop(key, None)
            self.sent.discard(key)


class Delivery:
    """One try of one page.

    Args:
        api: Where the contacts go.
        clock: For waiting until Quo shows what it has taken.
        wanted: The contacts as they are to be.
        ledger: What earlier tries did; this one adds to it.
        empty_sources: Sources of which Quo had no contact; theirs need not be looked up.
        is_bulk: Whether to create in bulk.

    Attributes:
        refused: The contacts that Quo refuses, with the reasons.
    """

    def __init__(
        self,
        api: QuoApi,
        clock: Clock,
        wanted: dict[Key, Contact],
        ledger: Ledger,
        *,
        empty_sources: frozenset[str],
        is_bulk: bool,
    ) -> None:
        self.refused: dict[Key, str] = {}
        self._api = api
        self._clock = clock
        self._wanted = wanted
        self._ledger = ledger
        self._empty_sources = empty_sources
        self._is_bulk = is_bulk
        self._absent: dict[Key, None] = {}
        self._changes: dict[Key, Change] = {}
        self._unseen: dict[Key, None] = {}
        self._differences: dict[Key, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._has_looked = False

    async def look(self) -> Failure | None:
        """Look which contacts Quo has, once, and write nothing."""
        if self._has_looked:
            return None
        self._absent = {key: None for key in self._wanted if key[0] in self._empty_sources}
        failure = await self._compare([key for key in self._wanted if key not in self._absent])
        self._has_looked = failure is None
        return failure

    @property
    def blanking(self) -> Blanking:
        """What will be emptied, by what was seen."""
        return blanking_of(self._differences.values())

    async def run(self) -> Failure | None:
        """Deliver what can be delivered; return why the rest could not be, if anything passes by waiting."""
        return (
            await self.look()
            or (await self._create_in_bulk() if self._is_bulk else None)
            or await each([*self._changes, *self._absent], self._write)
            or await self._see_and_patch()
        )

    # ── looking ──────────────────────────────────────────────────────────────────────────────

    async def _compare(self, keys: Sequence[Key]) -> Failure | None:
        """Look up contacts and learn which are absent and which differ."""
        found: dict[Key, Stored] = {}

        async def look_up(chunk: tuple[str, tuple[str, ...]]) -> Failure | None:
            source, external_ids = chunk
            contacts = await self._api.look_up(source, external_ids)
            if isinstance(contacts, Failure):
                return contacts
            # Should there be two with one key, the oldest is the one, each time.
            for stored in sorted(contacts, key=lambda stored: (stored.created_at, stored.id)):
                found.setdefault((source, stored.external_id or ""), stored)
            return None

        failure = await each(_chunks(keys), look_up)
        if failure is None:
            for key in keys:
                self._judge(key, found.get(key))
        return failure

    def _judge(self, key: Key, stored: Stored | None) -> None:
        self._absent.pop(key, None)
        if stored is None:
            self._absent[key] = None
            return
        wanted = kept(self._wanted[key], stored)
        self._differences[key] = said(stored), {name: getattr(wanted, name) for name in FIELDS}
        body = to_patch(wanted, stored)
        if body is not None:
            self._changes[key] = Change(stored.id, body)
        elif key in self._ledger.sent:
            self._ledger.note(key, "created")

    async def _look_until_seen(self, keys: Iterable[Key]) -> Failure | None:
        """Look for contacts that Quo has taken until it shows them; those it does not show are absent."""
        unseen = list(keys)
        for wait_s in SEEN_AFTER_S if unseen else ():
            await self._clock.sleep(wait_s)
            failure = await self._compare(unseen)
            unseen = [key for key in unseen if key in self._absent]
            if failure is not None or not unseen:
                return failure
        return None

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    async def _write(self, key: Key) -> Failure | None:
        change = self._changes.get(key)
        return await (self._create(key) if change is None else self._patch(key, change))

    async def _create(self, key: Key) -> Failure | None:
        reply = await self._api.create(self._wanted[key])
        if isinstance(reply, Failure) and reply.status == 409:
            self._unseen[key] = None
            return None
        if isinstance(reply, Failure) and reply.kind in PASSING:
            self._ledger.sent.add(key)
        return self._written(key, reply, "created")

    async def _patch(self, key: Key, change: Change) -> Failure | None:
        reply = await self._api.patch(change.contact_id, change.body)
        if isinstance(reply, Failure) and reply.status == 404:  # somebody has deleted it meanwhile
            return await self._create(key)
        return self._written(key, reply, "updated")

    def _written(self, key: Key, reply: Reply | Failure, written: Written) -> Failure | None:
        if not isinstance(reply, Failure):
            self._ledger.note(key, written)
            return None
        if reply.status not in REFUSALS:
            return reply
        self.refused[key] = reply.message
        return None

    async def _see_and_patch(self) -> Failure | None:
        """Find the contacts that Quo says it has, and make them what they should be."""
        if not self._unseen:
            return None
        keys, self._unseen, self._changes = list(self._unseen), {}, {}
        failure = await self._compare(keys) or await self._look_until_seen(
            [key for key in keys if key in self._absent]
        )
        if failure is not None:
            return failure
        for key in keys:
            if key in self._absent:
                self.refused[key] = "Quo says that it has this contact, but does not show it."
        failure = await each(list(self._changes), self._write)
        return failure or (_RESTLESS if self._unseen else None)

    # ── bulk ─────────────────────────────────────────────────────────────────────────────────

    async def _create_in_bulk(self) -> Failure | None:
        """Have the absent ones created in bulk; what does not appear in time stays absent."""
        sent: list[Key] = []

        async def send(keys: tuple[Key, ...]) -> Failure | None:
            reply = await self._api.create_in_bulk([self._wanted[key] for key in keys])
            if isinstance(reply, Failure) and reply.status in REFUSALS:
                return None  # one of them is at fault: sent one by one, it shows which
            if isinstance(reply, Failure) and reply.kind not in PASSING:
                return reply
            sent.extend(keys)  # perhaps taken, even where no answer says so
            self._ledger.sent.update(keys)
            return None

        return await each(batches(self._absent, BULK_MAX), send) or await self._look_until_seen(sent)


def _chunks(keys: Iterable[Key]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield sources with as many of their external ids as one look-up takes."""
    for source, group in groupby(sorted(keys), key=lambda key: key[0]):
        for chunk in batches((external_id for _, external_id in group), EXTERNAL_IDS_MAX):
            yield source, chunk


def batches(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield the values, so many at a time."""
    left = iter(values)
    while batch := tuple(islice(left, size)):
        yield batch
