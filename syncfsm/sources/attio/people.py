"""Attio person → Contact, a whole page at a time.

Of each attribute the first active value counts (`active_until` is null); of emails and phones, all active
ones. An attribute that a record does not have at all, or has with values of another type, is unknown, which
is not empty: a sink keeps what it has. A name that comes only as a whole is kept whole, as the first name.
The companies of a page are looked up once, in one query, and remembered as long as the transform lives: use a
new one for each sync.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from syncfsm.core.failure import Failure
from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import Contact
from syncfsm.outside.decoding import Decoder, OfAnotherType, Undecodable
from syncfsm.sources.attio.attributes import MAPPED, left_alone, misfit
from syncfsm.sources.attio.companies import try_out
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Record, Transformed

COMPANIES = "companies"
COMPANIES_CACHED_MAX = 10_000

UNTOLD = "that the source did not tell"
"""What is counted of an attribute whose key is missing, or of a company whose name did not come."""


_Told: TypeAlias = str | UnsetType | None
"""A text, none, or nothing said at all."""


class _Value(msgspec.Struct):
    active_until: str | None = None


class _Name(_Value):
    first_name: _Told = UNSET
    last_name: _Told = UNSET
    full_name: _Told = UNSET


class _Text(_Value):
    value: _Told = UNSET


class _Email(_Value):
    email_address: _Told = UNSET
    original_email_address: _Told = UNSET


class _Phone(_Value):
    phone_number: _Told = UNSET
    original_phone_number: _Told = UNSET


class _Reference(_Value):
    target_object: _Told = UNSET
    target_record_id: _Told = UNSET

    @property
    def company_id(self) -> str | None:
        """The company that it is of, if it is of one."""
        is_company = self.target_object in {UNSET, COMPANIES}
        return self.target_record_id or None if is_company else None


class _Values(msgspec.Struct):
    name: list[_Name] | UnsetType = UNSET
    email_addresses: list[_Email] | UnsetType = UNSET
    phone_numbers: list[_Phone] | UnsetType = UNSET
    company: list[_Reference] | UnsetType = UNSET
    job_title: list[_Text] | UnsetType = UNSET


class _Person(msgspec.Struct):
    values: _Values
    web_url: _Told = UNSET


class _Loose(msgspec.Struct):
    """A person, whatever the values of the attributes are."""

    values: dict[str, msgspec.Raw]
    web_url: msgspec.Raw | UnsetType = UNSET


V = TypeVar("V", bound=_Value)

Fields = dict[str, Any]
"""What is told of a person: fields of a contact, those left out of which nothing is known."""

_people = Decoder(_Person)
_loose = Decoder(_Loose)
_url = Decoder(_Told)
_values: dict[str, Decoder[Any]] = {
    "name": Decoder(list[_Name]),
    "email_addresses": Decoder(list[_Email]),
    "phone_numbers": Decoder(list[_Phone]),
    "company": Decoder(list[_Reference]),
    "job_title": Decoder(list[_Text]),
}


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
        self._names: OrderedDict[str, str | None] = OrderedDict()

    async def check_source(self, *, tries_look_ups: bool = False) -> Failure | None:
        """Check that the object has the attributes that contacts are made of. See `CheckingTransform`."""
        failure = await misfit(self._source.ask, self._source.object, sorted(self._wanted))
        if failure is None and tries_look_ups and "company" in self._wanted:
            return await try_out(self._source.ask)
        return failure

    async def __call__(self, records: Sequence[Record]) -> Transformed[Contact] | Failure:
        """Return the contacts of a page, or the failure of the look-up."""
        people, rejects = _decode(records)
        if "company" in self._wanted:
            failure = await self._look_up({_company_id(person) for _, person in people})
            if failure is not None:
                return failure
        contacts = tuple(self._contact(record_id, person) for record_id, person in people)
        return Transformed(items=contacts, rejects=rejects, left_out=self._untold(contacts))

    async def _look_up(self, wanted: set[str | None]) -> Failure | None:
        """Learn the names of the companies not known yet, in one request."""
        unknown = {company_id for company_id in wanted if company_id and company_id not in self._names}
        for company_id in self._names.keys() & wanted:
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

    def _contact(self, record_id: str, person: _Person) -> Contact:
        told: Fields = {} if person.web_url is UNSET else {"source_url": person.web_url}
        for slug in self._wanted:
            values = getattr(person.values, slug)
            if values is not UNSET:
                told |= self._company(values) if slug == "company" else _READERS[slug](values)
        return Contact(external_id=record_id, source=self._source.kind, **told, unknown=_ALL.difference(told))

    def _company(self, values: Sequence[_Reference]) -> Fields:
        reference = _active(values)
        if reference is None:
            return {"company": None}
        name = self._names.get(reference.company_id or "", UNSET)
        return {} if name is UNSET else {"company": name}

    def _untold(self, contacts: Sequence[Contact]) -> dict[str, int]:
        """Return how often the source did not say what it was asked for, by attribute."""
        fields = {slug: frozenset(MAPPED[slug].fields) for slug in sorted(self._wanted)}
        counts = {
            f"values of {slug} {UNTOLD}": sum(
                not fields[slug].isdisjoint(contact.unknown) for contact in contacts
            )
            for slug in fields
        }
        return {words: count for words, count in counts.items() if count}


def _decode(records: Sequence[Record]) -> tuple[list[tuple[str, _Person]], tuple[Reject, ...]]:
    people: list[tuple[str, _Person]] = []
    rejects: list[Reject] = []
    for record in records:
        try:
            people.append((record.id, _person(record.raw)))
        except Undecodable as error:
            rejects.append(Reject(record_id=record.id, reason=f"not a person: {error}"))
    return people, tuple(rejects)


def _person(raw: bytes | msgspec.Raw) -> _Person:
    """Return a person; an attribute with values of another type is unknown.

    Raises:
        Undecodable: It is none, or not to be read as a whole.
    """
    try:
        return _people.decode(raw)
    except OfAnotherType:
        loose = _loose.decode(raw)
    values = {
        slug: _typed(_values[slug], loose.values[slug]) for slug in _values.keys() & loose.values.keys()
    }
    web_url = UNSET if isinstance(loose.web_url, UnsetType) else _typed(_url, loose.web_url)
    return _Person(values=_Values(**values), web_url=web_url)


def _typed(decoder: Decoder[Any], raw: msgspec.Raw) -> Any:
    try:
        return decoder.decode(raw)
    except OfAnotherType:
        return UNSET


def _active(values: Sequence[V]) -> V | None:
    return next((value for value in values if value.active_until is None), None)


def _company_id(person: _Person) -> str | None:
    values = person.values.company
    reference = None if values is UNSET else _active(values)
    return reference.company_id if reference else None


def _name(values: Sequence[_Name]) -> Fields:
    name = _active(values)
    if name is None:
        return {"first_name": None, "last_name": None}
    if not name.first_name and not name.last_name and name.full_name is not UNSET:
        return {
            "first_name": name.full_name or None,
            "last_name": None,
        }  # which word is which would be a guess
    parts = {"first_name": name.first_name, "last_name": name.last_name}
    return {field: part or None for field, part in parts.items() if part is not UNSET}


def _role(values: Sequence[_Text]) -> Fields:
    title = _active(values)
    if title is None:
        return {"role": None}
    return {} if title.value is UNSET else {"role": title.value or None}


def _emails(values: Sequence[_Email]) -> Fields:
    active = [email for email in values if email.active_until is None]
    return _texts("emails", [(email.email_address, email.original_email_address) for email in active])


def _phones(values: Sequence[_Phone]) -> Fields:
    active = [phone for phone in values if phone.active_until is None]
    return _texts("phone_numbers", [(phone.phone_number, phone.original_phone_number) for phone in active])


def _texts(field: str, pairs: Sequence[tuple[_Told, _Told]]) -> Fields:
    """Return the texts, each the first of a pair or else the second; nothing if one is of another type."""
    if (UNSET, UNSET) in pairs:
        return {}
    return {field: tuple(text for first, second in pairs if (text := first or second))}


_READERS: dict[str, Callable[[Any], Fields]] = {
    "name": _name,
    "email_addresses": _emails,
    "phone_numbers": _phones,
    "job_title": _role,
}
"""What makes fields of the values of an attribute."""

_ALL = frozenset({"source_url", *(field for mapped in MAPPED.values() for field in mapped.fields)})
