"""People as the contacts of a Quo workspace, one for each (source, external id).

A page is looked up 20 contacts a request, and what is new or changed is written, several requests at once,
at no more than Quo's 10 requests a second. Where Quo has no contact of the source yet, nothing is looked up
before it is written. With a partner's key, new contacts go 50 a request. Whose records are gone are deleted
if the engine asks for it; which contacts there are of a source, Quo tells page by page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from syncfsm.core.blanking import Blanking
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Options
from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import Contact
from syncfsm.outside.authorization import Key
from syncfsm.outside.clock import Clock, SteadyClock, SystemClock
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.quo.api import (
    BASE_URL,
    REQUESTS_PER_S,
    QuoApi,
)
from syncfsm.sinks.quo.delivery import SEEN_AFTER_S_MAX, Delivery, Ledger
from syncfsm.sinks.quo.mapping import QuoPage, source_problem, to_page
from syncfsm.sinks.quo.phones import PhoneReader
from syncfsm.sinks.quo.removal import Removal, Removed

if TYPE_CHECKING:
    import httpx

KIND = "quo"

PAGE_SIZE = 50
"""A contact is a request or two: a page of so many is some seconds."""

BULK_PAGE_SIZE = 499
"""Each page waits a second or so until Quo shows its bulks, so few pages are fewer seconds: the most that
Attio's 500 rows a request allow, beside the row that is only peeked at."""


class _Looked(NamedTuple):
    """A page that was looked up and not written yet."""

    items: Sequence[Contact]
    page: QuoPage
    delivery: Delivery


class QuoSink:
    """Contacts in a Quo workspace.

    Args:
        api_key: The workspace's API key; never shown.
        partner_key: The key for the bulk route; never shown. With it, new contacts are created in bulk.
        base_url: Where the API is.
        source: The source whose contacts are to come, checked by `check`.
        require_phone: Leave people without a phone number out; they are counted as `left_out`.
        default_region: Where phone numbers without a country code are from, such as `US`.
        clock: For the rate limit, and for waiting until Quo shows what it has taken.
        transport: Where requests go; the network if `None`.
        requests_per_s: The most requests in any one second.

    Raises:
        ConfigurationError: A key, the URL or the region cannot be used, or the extra `quo` is missing.
    """

    def __init__(
        self,
        api_key: Key,
        *,
        partner_key: str | None = None,
        base_url: str = BASE_URL,
        source: str = "attio",
        require_phone: bool = False,
        default_region: str | None = None,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        requests_per_s: int = REQUESTS_PER_S,
    ) -> None:
        self.name = f"{KIND}:" if base_url == BASE_URL else f"{KIND}:{_without_secrets(base_url)}"
        self._source = source
        self._require_phone = require_phone
        self._phones = PhoneReader(default_region)
        self._clock = SteadyClock(clock or SystemClock())  # it waits, and writes no time down
        self._is_bulk = partner_key is not None
        self.best_page_size = BULK_PAGE_SIZE if self._is_bulk else PAGE_SIZE

        def connect() -> QuoApi:
            api = QuoApi(
                api_key,
                partner_key=(partner_key or "").strip(),
                base_url=base_url,
                clock=self._clock,
                transport=transport,
                per_s=requests_per_s,
            )
            api.heed(self._limits)
            return api

        self._limits = Options()
        self._connect = connect
        self._api: QuoApi | None = connect()
        self._ledger = Ledger()
        self._removed = Removed()
        self._expect_late()
        self._empty_sources: frozenset[str] = frozenset()
        self._looked: _Looked | None = None

    async def check(self) -> dict[str, str] | Failure:
        """Check the key and the name of the source, and learn whether Quo has any of its contacts."""
        problem = source_problem(self._source)
        if problem:
            return Failure(kind=FailureKind.BAD_REQUEST, message=f"{problem}: choose another.")
        self._removed = Removed()
        self._expect_late()
        has_any = await self._opened().has_any(self._source)
        if isinstance(has_any, Failure):
            return has_any
        self._empty_sources = frozenset() if has_any else frozenset({self._source})
        return {"sink": self.name}

    async def inspect(self) -> dict[str, str] | Failure:
        """See `Inspectable.inspect`; the check only reads."""
        return await self.check()

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Create and patch what is new or changed.

        A failure says that some of the page may be written and some not: the same page again finds what
        was written, and counts it as what became of it, not as unchanged.
        """
        looked = self._looked if self._looked and self._looked.items == items else self._begun(items)
        page, delivery, self._looked = looked.page, looked.delivery, None
        empty, self._empty_sources = self._empty_sources, frozenset()
        self._removed.forget(page.wanted)
        failure = await delivery.run()
        self._expect_late()
        if failure is not None:
            return failure  # from here on everything is looked up, since some of it may be there
        self._empty_sources = empty
        return self._result(items, page, delivery)

    async def would_blank(self, items: Sequence[Contact]) -> Blanking | Failure:
        """See `Foretelling`. What is looked up for that, the upsert does not look up again."""
        looked = self._begun(items)
        failure = await looked.delivery.look()
        if failure is not None:
            return failure
        self._looked = looked
        return looked.delivery.blanking

    def _begun(self, items: Sequence[Contact]) -> _Looked:
        page = to_page(items, self._phones, require_phone=self._require_phone)
        delivery = Delivery(
            self._opened(),
            self._clock,
            page.wanted,
            self._ledger,
            empty_sources=self._empty_sources,
            is_bulk=self._is_bulk,
        )
        return _Looked(items, page, delivery)

    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Delete contacts for good, every one that has the source and one of the ids.

        A failure says that some may be deleted and some not: the same ids again delete the rest, and count
        what the tries before did. What Quo does not show is looked for, up to 32 s after the last contact
        was created, for it may be there all the same.
        """
        removal = Removal(self._opened(), self._clock, self._removed, source, late_until=self._late_until)
        return await removal.run(record_ids)

    async def known(self, source: str) -> frozenset[str] | Failure:
        """Return the external ids of the contacts of a source that Quo shows.

        Those whose deletion was begun and is not counted yet are among them, so that who deletes what is
        missing is told of all that was deleted, over all tries. One without an external id is not ours.
        """
        contacts = await self._opened().list_all(source)
        if isinstance(contacts, Failure):
            return contacts
        shown = {stored.external_id for stored in contacts if stored.source == source}
        return frozenset(id_ for id_ in shown if id_) | self._removed.uncounted(source)

    def heed(self, options: Options) -> None:
        """See `Limited.heed`."""
        self._limits = options
        if self._api is not None:
            self._api.heed(options)

    async def finish(self) -> Failure | None:
        """Nothing is left to do: each page is in Quo when its upsert returns."""
        self._empty_sources = frozenset()
        return None

    async def aclose(self) -> None:
        """Close the connections."""
        self._empty_sources = frozenset()
        if self._api is not None:
            await self._api.aclose()
            self._api = None

    def _expect_late(self) -> None:
        """Quo may have been given contacts just now, by us or who was here before, and not show them yet."""
        self._late_until = self._clock.now() + timedelta(seconds=SEEN_AFTER_S_MAX)

    def _opened(self) -> QuoApi:
        if self._api is None:
            self._api = self._connect()
        return self._api

    def _result(self, items: Sequence[Contact], page: QuoPage, delivery: Delivery) -> UpsertResult:
        """Return the counts of all tries of a page together; whom we left out, Quo has unchanged."""
        refused = (Reject(record_id=key[1], reason=why) for key, why in delivery.refused.items())
        rejects = (*page.rejects, *refused)
        written = [
            self._ledger.written[key]
            for key in page.wanted
            if key in self._ledger.written and key not in delivery.refused
        ]
        self._ledger.forget(page.wanted)
        created, updated = written.count("created"), written.count("updated")
        return UpsertResult(
            created=created,
            updated=updated,
            unchanged=len(items) - created - updated - len(rejects),
            rejects=rejects,
            left_out=page.left_out,
        )


def _without_secrets(base_url: str) -> str:
    """Return a URL without user, password and query."""
    url = urlsplit(base_url)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}".rstrip("/")
