"""Attio person → Contact, a whole page at a time.

Of each attribute the first active value counts (`active_until` is null); of emails and phones, all active
ones. An attribute that a record does not have at all, or has with values of another type, is unknown, which
is not empty: a sink keeps what it has. A name that comes only as a whole is kept whole, as the first name.
The companies of a page are looked up once, in one query, and remembered as long as the transform lives: use a
new one for each sync.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from syncfsm.core.failure import Failure
from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import FIELDS, Contact
from syncfsm.outside.decoding import Undecodable
from syncfsm.sources.attio.attributes import MAPPED, left_alone, misfit
from syncfsm.sources.attio.companies import try_out
from syncfsm.sources.attio.person import (
    EmailValue,
    HistoricValue,
    NameValue,
    Person,
    PhoneValue,
    ReferenceValue,
    TextValue,
    Told,
    person_of,
)
from syncfsm.sources.attio.source import LIMIT_MAX, AttioSource
from syncfsm.sources.protocol import Record, Transformed

COMPANIES = "companies"
COMPANIES_CACHED_MAX = 10_000

UNTOLD = "that the source did not tell"
"""What is counted of an attribute whose key is missing, or of a company whose name did not come."""

V = TypeVar("V", bound=HistoricValue)


class AttioPeople:
    """The transform for Attio people.

    Args:
        source: Whose people; it also looks up the companies.
        companies: Whether to look up the names of companies. Needs a key that may read companies. Without
            them, a sink keeps those that it has.
        without: Attributes to leave alone, such as `job_title`: a sink keeps what it has of them.

    Raises:
        ConfigurationError: Contacts are not made of one of these attributes.
    """

    def __init__(self, source: AttioSource, *, companies: bool = True, without: Collection[str] = ()) -> None:
        self._source = source
        self.without = left_alone(without)
        self._wanted = MAPPED.keys() - self.without - (set() if companies else {"company"})
        unwanted = MAPPED.keys() - self._wanted
        self._left_alone = frozenset(field for slug in unwanted for field in MAPPED[slug].fields)
        self._names: OrderedDict[str, str | None] = OrderedDict()
        self._soon: set[str] = set()  # companies of pages that came early
        self._looking_up = asyncio.Lock()

    async def check_source(self, *, tries_look_ups: bool = False) -> Failure | None:
        """Check that the object has the attributes that contacts are made of. See `CheckingTransform`."""
        failure = await misfit(self._source.ask, self._source.object, sorted(self._wanted))
        if failure is None and tries_look_ups and "company" in self._wanted:
            return await try_out(self._source.ask)
        return failure

    async def __call__(self, records: Sequence[Record]) -> Transformed[Contact] | Failure:
        """Return the contacts of a page, or the failure of the look-up."""
        people, rejects = _decode(records)
        looks = "company" in self._wanted
        companies = [_company_id(person.values.company) if looks else UNSET for _, person in people]
        failure = await self._look_up({company for company in companies if company})
        if failure is not None:
            return failure
        each = zip(people, companies, strict=True)
        contacts = tuple(self._contact(record_id, person, company) for (record_id, person), company in each)
        return Transformed(items=contacts, rejects=rejects, left_out=self._untold(contacts))

    async def prepare(self, records: Sequence[Record]) -> None:
        """Look up the companies of a page that came early. See `PreparingTransform`.

        While one request is under way, what pages want that come meanwhile is gathered for the next.
        """
        if "company" not in self._wanted:
            return
        found = (_company_id(person.values.company) for _, person in _decode(records)[0])
        ours = {company for company in found if company and company not in self._names}
        self._soon |= ours
        while ours & self._soon:
            async with self._looking_up:
                some = set(islice(self._soon, LIMIT_MAX))
                self._soon -= some
                await self._learn(some)

    async def _look_up(self, wanted: set[str]) -> Failure | None:
        """Learn the names of companies, of which some may be on their way."""
        async with self._looking_up:
            return await self._learn(wanted)

    async def _learn(self, wanted: set[str]) -> Failure | None:
        """Learn the names of the companies not known yet, in one request."""
        unknown = {company_id for company_id in wanted if company_id not in self._names}
        for company_id in wanted - unknown:
            self._names.move_to_end(company_id)  # so that it is not forgotten before it was used
        if not unknown:
            return None
        names = await self._source.company_names(unknown)
        if isinstance(names, Failure):
            return names
        self._names.update(names)
        while len(self._names) > COMPANIES_CACHED_MAX:
            self._names.popitem(last=False)
        return None

    def _contact(self, record_id: str, person: Person, company_id: Told) -> Contact:
        """Return the contact; of most people all is told, so that nothing is made in between."""
        values = person.values
        fields: tuple[Any, ...] = (
            *_name(values.name),
            self._names.get(company_id, UNSET) if company_id else company_id,
            _role(values.job_title),
            _texts(values.phone_numbers),
            _texts(values.email_addresses),
            person.web_url,
        )
        if self._left_alone or UNSET in fields:
            return self._partly(record_id, dict(zip(FIELDS, fields, strict=True)))
        first_name, last_name, company, role, phone_numbers, emails, source_url = fields
        return Contact(
            external_id=record_id,
            source=self._source.kind,
            first_name=first_name,
            last_name=last_name,
            company=company,
            role=role,
            phone_numbers=phone_numbers,
            emails=emails,
            source_url=source_url,
        )

    def _partly(self, record_id: str, fields: dict[str, Any]) -> Contact:
        """Return the contact of somebody of whom not all is told, or wanted."""
        told = {
            name: value
            for name, value in fields.items()
            if value is not UNSET and name not in self._left_alone
        }
        unknown = frozenset(fields.keys() - told.keys())
        return Contact(external_id=record_id, source=self._source.kind, **told, unknown=unknown)

    def _untold(self, contacts: Sequence[Contact]) -> dict[str, int]:
        """Return how often the source did not say what it was asked for, by attribute."""
        unknown = Counter(contact.unknown for contact in contacts if contact.unknown)
        counts = {
            slug: sum(
                count for fields, count in unknown.items() if not fields.isdisjoint(MAPPED[slug].fields)
            )
            for slug in sorted(self._wanted)
        }
        return {f"values of {slug} {UNTOLD}": count for slug, count in counts.items() if count}


def _decode(records: Sequence[Record]) -> tuple[list[tuple[str, Person]], tuple[Reject, ...]]:
    people: list[tuple[str, Person]] = []
    rejects: list[Reject] = []
    for record in records:
        try:
            people.append((record.id, person_of(record)))
        except Undecodable as error:
            rejects.append(Reject(record_id=record.id, reason=f"not a person: {error}"))
    return people, tuple(rejects)


def _active(values: Sequence[V]) -> V | None:
    for value in values:
        if value.active_until is None:
            return value
    return None


def _company_id(values: Sequence[ReferenceValue] | UnsetType) -> Told:
    """Return the company that somebody is of; none, or nothing where it is not told which."""
    if values is UNSET:
        return UNSET
    reference = _active(values)
    if reference is None:
        return None
    is_company = reference.target_object in {UNSET, COMPANIES}
    return reference.target_record_id or UNSET if is_company else UNSET


def _name(values: Sequence[NameValue] | UnsetType) -> tuple[Told, Told]:
    """Return the first and the last name."""
    if values is UNSET:
        return UNSET, UNSET
    name = _active(values)
    if name is None:
        return None, None
    first, last = name.first_name, name.last_name
    if not first and not last and name.full_name is not UNSET:
        return name.full_name or None, None  # which word is which would be a guess
    return _filled(first), _filled(last)


def _role(values: Sequence[TextValue] | UnsetType) -> Told:
    if values is UNSET:
        return UNSET
    title = _active(values)
    return None if title is None else _filled(title.value)


def _filled(text: Told) -> Told:
    """Return a text, and none for an empty one; what is not told stays so."""
    return None if text == "" else text


def _texts(values: Sequence[EmailValue] | Sequence[PhoneValue] | UnsetType) -> tuple[str, ...] | UnsetType:
    """Return all active texts, each as it is or else as it was typed; nothing if one is of another type."""
    if values is UNSET:
        return UNSET
    texts = []
    for value in values:
        if value.active_until is not None:
            continue
        text = value.text or value.original
        if text:
            texts.append(text)
        elif value.text is UNSET and value.original is UNSET:
            return UNSET
    return tuple(texts)
