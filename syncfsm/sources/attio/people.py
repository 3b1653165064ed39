"""Attio person → Contact, a whole page at a time.

Of each attribute the first active value counts (`active_until` is null); of emails and phones, all active
ones. The companies of a page are looked up once, in one query, and remembered as long as the transform
lives: use a new one for each sync.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from syncfsm.core.failure import Failure
from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import Contact
from syncfsm.outside.decoding import Decoder, Undecodable
from syncfsm.sources.attio.source import KIND, AttioSource
from syncfsm.sources.protocol import Record, Transformed

COMPANIES_CACHED_MAX = 10_000


class _Value(msgspec.Struct):
    active_until: str | None = None


class _Name(_Value):
    first_name: str | None = None
    last_name: str | None = None


class _Text(_Value):
    value: str | None = None


class _Email(_Value):
    email_address: str | None = None
    original_email_address: str | None = None


class _Phone(_Value):
    phone_number: str | None = None
    original_phone_number: str | None = None


class _Reference(_Value):
    target_record_id: str | None = None


class _Values(msgspec.Struct):
    name: list[_Name] = []
    email_addresses: list[_Email] = []
    phone_numbers: list[_Phone] = []
    company: list[_Reference] = []
    job_title: list[_Text] = []


class _Person(msgspec.Struct):
    values: _Values
    web_url: str | None = None


V = TypeVar("V", bound=_Value)

_people = Decoder(_Person)


class AttioPeople:
    """The transform for Attio people.

    Args:
        source: Whose people; it also looks up the companies.
        companies: Whether to look up the names of companies. Needs a key that may read companies.
    """

    def __init__(self, source: AttioSource, *, companies: bool = True) -> None:
        self._source = source
        self._companies = companies
        self._names: OrderedDict[str, str | None] = OrderedDict()

    async def __call__(self, records: Sequence[Record]) -> Transformed[Contact] | Failure:
        """Return the contacts of a page, or the failure of the look-up."""
        people, rejects = _decode(records)
        failure = await self._look_up({_company_id(person) for _, person in people})
        if failure is not None:
            return failure
        contacts = tuple(self._contact(record_id, person) for record_id, person in people)
        return Transformed(items=contacts, rejects=rejects)

    async def _look_up(self, wanted: set[str | None]) -> Failure | None:
        """Learn the names of the companies not known yet, in one request."""
        if not self._companies:
            return None
        unknown = {company_id for company_id in wanted if company_id and company_id not in self._names}
        if not unknown:
            return None
        names = await self._source.company_names(unknown)
        if isinstance(names, Failure):
            return names
        self._names.update(names)
        while len(self._names) > COMPANIES_CACHED_MAX:
            self._names.popitem(last=False)
        return None

    def _contact(self, record_id: str, person: _Person) -> Contact:
        values = person.values
        name = _active(values.name)
        title = _active(values.job_title)
        company_id = _company_id(person)
        return Contact(
            external_id=record_id,
            source=KIND,
            first_name=(name.first_name or None) if name else None,
            last_name=(name.last_name or None) if name else None,
            company=self._names.get(company_id) if company_id else None,
            role=(title.value or None) if title else None,
            phone_numbers=_phones(values),
            emails=_emails(values),
            source_url=person.web_url,
        )


def _decode(records: Sequence[Record]) -> tuple[list[tuple[str, _Person]], tuple[Reject, ...]]:
    people: list[tuple[str, _Person]] = []
    rejects: list[Reject] = []
    for record in records:
        try:
            people.append((record.id, _people.decode(record.raw)))
        except Undecodable as error:
            rejects.append(Reject(record_id=record.id, reason=f"not a person: {error}"))
    return people, tuple(rejects)


def _active(values: Sequence[V]) -> V | None:
    return next((value for value in values if value.active_until is None), None)


def _company_id(person: _Person) -> str | None:
    reference = _active(person.values.company)
    return reference.target_record_id if reference else None


def _emails(values: _Values) -> tuple[str, ...]:
    active = (email for email in values.email_addresses if email.active_until is None)
    found = (email.email_address or email.original_email_address for email in active)
    return tuple(text for text in found if text)


def _phones(values: _Values) -> tuple[str, ...]:
    active = (phone for phone in values.phone_numbers if phone.active_until is None)
    found = (phone.phone_number or phone.original_phone_number for phone in active)
    return tuple(text for text in found if text)
