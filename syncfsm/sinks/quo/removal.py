"""One try to delete contacts: look up which ids Quo has, and delete what it shows.

Every contact that carries the source and one of the ids is deleted, so all of them where somebody has made
a copy: what they tell of is gone, and a person who is to be erased is erased. A contact without an external
id, or of another source, is never ours, whatever a look-up answers.

A deletion whose answer never came may have been done. It is simply done again; that the contact is then not
there any more says that it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from syncfsm.core.failure import Failure
from syncfsm.outside.clock import Clock
from syncfsm.sinks.quo.api import EXTERNAL_IDS_MAX, QuoApi
from syncfsm.sinks.quo.delivery import SEEN_AFTER_S, batches
from syncfsm.sinks.quo.in_flight import PASSING, each
from syncfsm.sinks.quo.mapping import EXTERNAL_ID_CHARS_MAX, Key
from syncfsm.sinks.quo.wire import Stored


class Removed:
    """What the tries of a deletion did so far, so that its count is that of all its tries together.

    Attributes:
        gone: Contacts that we have deleted and not counted yet.
        doubted: Contacts whose deletion had no answer that says whether it was done.
    """

    def __init__(self) -> None:
        self.gone: set[Key] = set()
        self.doubted: set[Key] = set()

    def uncounted(self, source: str) -> set[str]:
        """Return the external ids of a source that the next try is to be asked to delete again."""
        return {external_id for of, external_id in self.gone | self.doubted if of == source}

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget contacts: they were counted, or have come again."""
        keys = set(keys)
        self.gone -= keys
        self.doubted -= keys


class Removal:
    """One try to delete contacts of one source.

    Args:
        api: Where the contacts are.
        clock: For waiting until Quo shows what it has taken.
        removed: What earlier tries did; this one adds to it.
        source: The source as its contacts call it.
        late_until: Until when Quo may not show contacts that it has; what it does not show is looked for
            until then.
    """

    def __init__(
        self, api: QuoApi, clock: Clock, removed: Removed, source: str, *, late_until: datetime
    ) -> None:
        self._api = api
        self._clock = clock
        self._removed = removed
        self._source = source
        self._late_until = late_until

    async def run(self, external_ids: Iterable[str]) -> int | Failure:
        """Delete the contacts; return of how many of the ids there was one."""
        wanted = {id_: None for id_ in external_ids if 1 <= len(id_) <= EXTERNAL_ID_CHARS_MAX}
        keys = {(self._source, id_) for id_ in wanted}
        unseen = [id_ for id_ in wanted if (self._source, id_) not in self._removed.gone]
        failure = await self._delete_until_seen(unseen)
        if failure is not None:
            return failure
        count = len(keys & (self._removed.gone | self._removed.doubted))
        self._removed.forget(keys)
        return count

    async def _delete_until_seen(self, unseen: Sequence[str]) -> Failure | None:
        """Delete what is shown, and look for the rest as long as it might be there all the same."""
        for wait_s in (0.0, *SEEN_AFTER_S):
            await self._clock.sleep(wait_s)
            found: dict[str, list[Stored]] = defaultdict(list)
            failure = await self._look_up(unseen, found)
            if failure is None or failure.kind in PASSING:  # what was found need not wait for the rest
                failure = await each(found.items(), self._delete) or failure
            unseen = [id_ for id_ in unseen if id_ not in found and not self._is_doubted(id_)]
            if failure is not None or not unseen or self._clock.now() >= self._late_until:
                return failure
        return None

    async def _look_up(self, external_ids: Sequence[str], found: dict[str, list[Stored]]) -> Failure | None:
        async def look_up(chunk: tuple[str, ...]) -> Failure | None:
            contacts = await self._api.look_up(self._source, chunk)
            if isinstance(contacts, Failure):
                return contacts
            for stored in contacts:
                if stored.source == self._source and stored.external_id in chunk:
                    found[stored.external_id].append(stored)
            return None

        return await each(batches(external_ids, EXTERNAL_IDS_MAX), look_up)

    async def _delete(self, item: tuple[str, list[Stored]]) -> Failure | None:
        """Delete all contacts with one external id; who has been deleted meanwhile is gone all the same."""
        external_id, contacts = item
        key, is_ours = (self._source, external_id), self._is_doubted(external_id)
        for stored in contacts:
            reply = await self._api.delete(stored.id)
            if not isinstance(reply, Failure):
                is_ours = True
            elif reply.status != 404:
                if is_ours or reply.kind in PASSING:
                    self._removed.doubted.add(key)
                return reply
        if is_ours:
            self._removed.gone.add(key)
        return None

    def _is_doubted(self, external_id: str) -> bool:
        return (self._source, external_id) in self._removed.doubted
