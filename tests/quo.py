"""A fake Quo with the sink before it, and what Quo has, as contacts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from syncfsm.items.contact import Contact
from syncfsm.outside.clock import Clock
from syncfsm.sinks.quo.sink import QuoSink
from syncfsm.sinks.quo.wire import EMAIL_LABEL, PHONE_LABEL
from syncfsm_simulator.fakes.quo.app import FakeQuo
from syncfsm_simulator.fakes.quo.contacts import Item, Settings
from tests.fakes import TestClock

KEY = "planted-quo-key-0123456789"
PARTNER_KEY = "planted-partner-key-0123456789"


class Quo:
    """A fake Quo; `sink` makes one more sink for it, which knows nothing of the others."""

    def __init__(
        self, clock: Clock | None = None, latency_ms: tuple[int, int] = (0, 0), **settings: Any
    ) -> None:
        self.clock = clock or TestClock()
        self.fake = FakeQuo(
            self.clock,
            api_key=KEY,
            partner_key=PARTNER_KEY,
            latency_ms=latency_ms,
            settings=Settings(**settings),
        )
        self.transport: httpx.AsyncBaseTransport = httpx.ASGITransport(self.fake)

    def sink(self, *, is_bulk: bool = False, **settings: Any) -> QuoSink:
        if isinstance(self.clock, TestClock):
            self.clock.at += timedelta(seconds=2)  # it knows nothing of the requests of others
        given = {
            "api_key": KEY,
            "partner_key": PARTNER_KEY if is_bulk else None,
            "base_url": "http://quo.simulated",
            "clock": self.clock,
            "transport": self.transport,
        } | settings
        return QuoSink(**given)

    def stored(self) -> set[Contact]:
        """Return all contacts that Quo has; two with one source and external id are an error."""
        found = [
            Contact(
                external_id=contact.external_id or "",
                source=contact.source or "",
                first_name=contact.default_fields.first_name,
                last_name=contact.default_fields.last_name,
                company=contact.default_fields.company,
                role=contact.default_fields.role,
                phone_numbers=values(contact.default_fields.phone_numbers, PHONE_LABEL),
                emails=values(contact.default_fields.emails, EMAIL_LABEL),
                source_url=contact.source_url,
            )
            for contact in self.fake.contacts.by_id.values()
        ]
        keys = {(contact.source, contact.external_id) for contact in found}
        assert len(keys) == len(found), "Quo has a contact twice"
        return set(found)

    def count(self, method: str, status: int, route: str = "/v1/contacts") -> int:
        """Return how many requests were answered so."""
        return self.fake.requests[method, route, status]


def values(items: list[Item], label: str) -> tuple[str, ...]:
    return tuple(item.value or "" for item in items if item.name == label)
