"""The contacts of the fake Quo: one for each source and external id, phone numbers in E.164.

How a PATCH treats items without an id, how long a look-up does not show what was created, and what becomes
of a bulk are not documented: each is a knob. Whatever is to happen later happens when somebody next asks.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncfsm_simulator.fakes.quo.bodies import ContactPatch, FieldsPatch, ItemBody, NewContact

Key = tuple[str, str]

PatchArrays = Literal["append", "replace"]
"""What a PATCH does to items that are there and that it does not name: keep them, or drop them."""

NEVER = timedelta(days=365_000)


class Conflict(Exception):
    """There is a contact with this source and external id."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is not documented.

    Attributes:
        patch_arrays: What a PATCH does to items that it does not name.
        seen_after_s: How long look-ups do not show a contact that was created.
        bulk_after_s: How long it takes until a bulk is applied.
        bulk_loses: The share of a bulk's contacts that never come.
        normalises_phones: Whether phone numbers come back as E.164.
    """

    patch_arrays: PatchArrays = "append"
    seen_after_s: float = 0.0
    bulk_after_s: float = 1.0
    bulk_loses: float = 0.0
    normalises_phones: bool = True


class Item(msgspec.Struct):
    """An email or a phone number."""

    id: str
    name: str
    value: str | None


class Fields(msgspec.Struct, rename="camel"):
    """The fields that every contact has."""

    first_name: str | None
    last_name: str | None
    company: str | None
    role: str | None
    emails: list[Item]
    phone_numbers: list[Item]


class Contact(msgspec.Struct, rename="camel"):
    """A contact, as it is answered."""

    id: str
    external_id: str | None
    source: str | None
    source_url: str | None
    default_fields: Fields
    custom_fields: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    created_by_user_id: str


class Contacts:
    """All contacts of the workspace.

    Attributes:
        by_id: The contacts.
        writes: How often a contact was created, changed or deleted.
    """

    def __init__(self, settings: Settings) -> None:
        self.by_id: dict[str, Contact] = {}
        self.writes = 0
        self._settings = settings
        self._rng = random.Random("quo ids")
        self._ids: dict[Key, str] = {}
        self._later: list[tuple[datetime, NewContact]] = []

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def listed(self, now: datetime, sources: Sequence[str], external_ids: Sequence[str]) -> list[Contact]:
        """Return the contacts that a look-up shows; all of them where neither is given."""
        self.settle(now)
        candidates: Iterable[Contact] = self.by_id.values()
        if sources and external_ids:
            keys = ((source, external_id) for source in sources for external_id in external_ids)
            candidates = (self.by_id[self._ids[key]] for key in keys if key in self._ids)
        hidden_from = now - timedelta(seconds=self._settings.seen_after_s)
        return [
            contact
            for contact in candidates
            if contact.created_at <= hidden_from
            and (not sources or contact.source in sources)
            and (not external_ids or contact.external_id in external_ids)
        ]

    def settle(self, now: datetime) -> None:
        """Apply the bulks that are due; what is there already is left as it is."""
        due = [(at, new) for at, new in self._later if at <= now]
        self._later = [(at, new) for at, new in self._later if at > now]
        for at, new in due:
            try:
                self.create(new, at)
            except Conflict:
                continue

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def create(self, new: NewContact, now: datetime) -> Contact:
        """Create a contact.

        Raises:
            Conflict: There is one with its source and external id.
        """
        key = (new.source, new.external_id) if new.external_id else None
        if key in self._ids:
            raise Conflict
        contact = Contact(
            id=self._new_id(),
            external_id=new.external_id,
            source=new.source,
            source_url=new.source_url,
            default_fields=Fields(None, None, None, None, [], []),
            custom_fields=[],
            created_at=now,
            updated_at=now,
            created_by_user_id="US1",
        )
        self._set(contact.default_fields, new.default_fields)
        self.by_id[contact.id] = contact
        if key is not None:
            self._ids[key] = contact.id
        self.writes += 1
        return contact

    def create_later(self, new: Sequence[NewContact], now: datetime) -> None:
        """Create contacts after a while, but for those that get lost."""
        at = now + timedelta(seconds=self._settings.bulk_after_s)
        self._later += [(at, one) for one in new if self._rng.random() >= self._settings.bulk_loses]

    def change(self, contact: Contact, patch: ContactPatch, now: datetime) -> None:
        """Change what a patch names."""
        if not isinstance(patch.source_url, UnsetType):
            contact.source_url = patch.source_url
        self._set(contact.default_fields, patch.default_fields)
        contact.updated_at = now
        self.writes += 1

    def delete(self, contact: Contact) -> None:
        """Delete a contact."""
        del self.by_id[contact.id]
        self._ids = {key: id_ for key, id_ in self._ids.items() if id_ != contact.id}
        self.writes += 1

    def _set(self, fields: Fields, patch: FieldsPatch) -> None:
        for name in ("first_name", "last_name", "company", "role"):
            value = getattr(patch, name)
            if value is not UNSET:
                setattr(fields, name, value)
        if not isinstance(patch.emails, UnsetType):
            fields.emails = self._items(fields.emails, patch.emails)
        if not isinstance(patch.phone_numbers, UnsetType):
            phones = self._items(fields.phone_numbers, patch.phone_numbers)
            for item in phones if self._settings.normalises_phones else ():
                item.value = e164(item.value)
            fields.phone_numbers = phones

    def _items(self, there: list[Item], sent: list[ItemBody]) -> list[Item]:
        """Return the items after a patch: those named are changed, null values remove, the rest is new."""
        named = {item.id: item for item in sent if not isinstance(item.id, UnsetType)}
        is_kept = self._settings.patch_arrays == "append"
        kept = [
            Item(item.id, named[item.id].name, named[item.id].value) if item.id in named else item
            for item in there
            if item.id in named or is_kept
        ]
        new = [Item(self._new_id(), item.name, item.value) for item in sent if isinstance(item.id, UnsetType)]
        return [item for item in (*kept, *new) if item.value is not None]

    def _new_id(self) -> str:
        return f"{self._rng.getrandbits(96):024x}"


def e164(text: str | None) -> str | None:
    """Return a number as Quo gives it back, by a rule of thumb: ten digits are American."""
    if text is None:
        return None
    digits = re.sub(r"\D", "", text)
    if text.strip().startswith("+"):
        return f"+{digits}"
    return f"+1{digits}" if len(digits) == 10 else f"+{digits}"
