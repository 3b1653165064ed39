"""What a contact must be, straight from the world: an oracle that shares no code with syncfsm."""

from __future__ import annotations

from typing import Any

import msgspec

from syncfsm_simulator.world.world import World


class _Value(msgspec.Struct, frozen=True, gc=False):
    active_until: str | None
    first_name: str = ""
    last_name: str = ""
    value: Any = None
    phone_number: str = ""
    email_address: str = ""
    target_record_id: str = ""


_Held = list[_Value]


class _Values(msgspec.Struct, frozen=True):
    name: _Held
    job_title: _Held = []
    phone_numbers: _Held = []
    email_addresses: _Held = []
    company: _Held = []


class _Record(msgspec.Struct, frozen=True):
    values: _Values


_DECODER = msgspec.json.Decoder(_Record)


class Known(msgspec.Struct, frozen=True):
    """What the CRM has of somebody.

    Attributes:
        fields: First name, last name, role, phone numbers and emails as the sink must hold them.
        company: The name of the company that they work for, if it has one.
    """

    fields: tuple[Any, ...]
    company: str | None


def everybody(world: World) -> dict[str, Known]:
    """Return what the CRM has of everybody who is there, by id."""
    companies = {company_id: _name(held) for company_id, held in _read(world, "companies").items()}
    return {
        record_id: Known(_fields(held), companies.get(_employer(held)))
        for record_id, held in _read(world, "people").items()
    }


def _read(world: World, slug: str) -> dict[str, _Values]:
    ids = world.ids_of(slug)
    entities = world.entities(slug).items()
    return {record_id: _DECODER.decode(entity.encoded(ids)).values for record_id, entity in entities}


def _fields(values: _Values) -> tuple[Any, ...]:
    name, title = _active(values.name), _active(values.job_title)
    phones = [value.phone_number for value in _active(values.phone_numbers)]
    emails = [value.email_address for value in _active(values.email_addresses)]
    return (
        (name[0].first_name or None) if name else None,
        (name[0].last_name or None) if name else None,
        (title[0].value or None) if title else None,
        msgspec.json.encode(phones).decode(),
        msgspec.json.encode(emails).decode(),
    )


def _employer(values: _Values) -> str:
    references = _active(values.company)
    return references[0].target_record_id if references else ""


def _name(values: _Values) -> str | None:
    names = _active(values.name)
    return names[0].value if names else None


def _active(values: _Held) -> _Held:
    return [value for value in values if value.active_until is None]
