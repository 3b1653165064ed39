"""What a client writes becomes values as Attio keeps them, or the 400 that Attio would send.

A value is written as an object with the properties of its type, or shorter, as most types allow. Addresses,
domains and phone numbers are brought into one form, so that equal ones are found to be equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import msgspec

from syncfsm_simulator.fakes.attio import normal_forms as places
from syncfsm_simulator.fakes.attio.errors import ApiError, invalid, value_not_found
from syncfsm_simulator.world.schema import Attribute, properties
from syncfsm_simulator.world.world import World

Fields = dict[str, Any]

_EMAIL = re.compile(r"([^@\s]+)@([^@\s]+)")
_DOMAIN = re.compile(r"(?:https?://)?(?:www\.)?((?:[\w-]+\.)+[\w-]{2,})(?:[/?#:].*)?")


class Written(msgspec.Struct, frozen=True):
    """One value as it was written, and where."""

    world: World
    slug: str
    attribute: Attribute
    raw: Any

    def invalid(self, message: str, **extra: Any) -> ApiError:
        """Return the 400 for a value that makes no sense."""
        return invalid(["data", "values", self.attribute.slug], message, "invalid", **extra)

    def text(self, name: str) -> str:
        """Return a text, given alone or as the property `name` of an object."""
        raw = self.raw.get(name) if isinstance(self.raw, dict) else self.raw
        if not isinstance(raw, str):
            raise self.invalid(f"Expected string for {name}", expected="string")
        return raw


def fields_of(written: Written) -> Fields:
    """Return the fields of a value of any type that can be written.

    Raises:
        ApiError: A 400, as Attio would answer.
    """
    return _PARSERS[written.attribute.type](written)


def identity(attribute: Attribute, value: Mapping[str, Any]) -> Any:
    """Return what makes two values of an attribute the same one."""
    if attribute.type == "select":
        return value["option"]["id"]["option_id"]
    if attribute.type in {"email-address", "domain", "phone-number", "record-reference"}:
        return value[properties(attribute.type)[0]]
    return tuple(value.get(name) for name in properties(attribute.type))


def _text(written: Written) -> Fields:
    return {"value": written.text("value")}


def _date(written: Written) -> Fields:
    text = written.text("value")
    try:
        return {"value": date.fromisoformat(text[:10]).isoformat()}
    except ValueError:
        raise written.invalid(f"Invalid date: {text!r}") from None


def _name(written: Written) -> Fields:
    """Read `Last, First`, a first name alone, or an object with all three properties."""
    if isinstance(written.raw, dict):
        return {name: written.text(name) for name in ("first_name", "last_name", "full_name")}
    last, comma, first = written.text("value").partition(",")
    first, last = (first.strip(), last.strip()) if comma else (last.strip(), "")
    return {"first_name": first, "last_name": last, "full_name": f"{first} {last}".strip()}


def _email(written: Written) -> Fields:
    original = written.text("email_address").strip()
    found = _EMAIL.fullmatch(original.lower())
    if found is None or _DOMAIN.fullmatch(found[2]) is None:
        raise written.invalid(f'The value "{original}" is no valid email address')
    local, domain = found.groups()
    return {
        "original_email_address": original,
        "email_address": f"{local}@{domain}",
        "email_domain": domain,
        "email_root_domain": places.root_domain(domain),
        "email_local_specifier": local,
    }


def _domain(written: Written) -> Fields:
    original = written.text("domain").strip()
    found = _DOMAIN.fullmatch(original.lower())
    if found is None:
        raise written.invalid(f'The value "{original}" is no valid domain')
    return {"domain": found[1], "root_domain": places.root_domain(found[1])}


def _phone(written: Written) -> Fields:
    original = written.text("original_phone_number")
    country = written.raw.get("country_code") if isinstance(written.raw, dict) else None
    if country is not None and country not in places.COUNTRIES:
        raise written.invalid(f"Unknown country code: {country!r}")
    number = places.phone_number(original, country)
    if number is None:
        raise written.invalid(f'The value "{original}" is no valid phone number: begin it with "+"')
    country = country or places.country_of(number)
    if country is None:
        raise written.invalid(f'The country of the phone number "{original}" is not known')
    return {"original_phone_number": original, "country_code": country, "phone_number": number}


def _location(written: Written) -> Fields:
    """Read a place; every property must be given, though it may be null."""
    if not isinstance(written.raw, dict):
        raise written.invalid("Expected object", expected="object")
    fields: dict[str, str | None] = {}
    for name in properties("location"):
        if name not in written.raw:
            raise written.invalid(f"Required: {name}")
        fields[name] = None if written.raw[name] is None else written.text(name)
    if fields["country_code"] not in {None, *places.COUNTRIES}:
        raise written.invalid(f"Unknown country code: {fields['country_code']!r}")
    for name, most in (("latitude", 90), ("longitude", 180)):
        degrees = fields[name]
        if degrees is not None and not places.is_degrees(degrees, most):
            raise written.invalid(f"Invalid {name}: {degrees!r}")
    return fields


def _currency(written: Written) -> Fields:
    raw = written.raw.get("currency_value") if isinstance(written.raw, dict) else written.raw
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise written.invalid("Expected number for currency_value", expected="number")
    return {"currency_value": raw, "currency_code": "USD"}


def _select(written: Written) -> Fields:
    wanted = written.text("option")
    for title in written.attribute.options:
        option = written.world.ids.option(written.slug, written.attribute, title)
        if wanted in {title, option["id"]["option_id"]}:
            return {"option": option}
    raise value_not_found(f'Cannot find select attribute with select option title "{wanted}".')


def _reference(written: Written) -> Fields:
    """Read the id of a record, or an object with its id, or with values that only it has."""
    raw, target = written.raw, written.attribute.target or ""
    entities = written.world.entities(target) if target in written.world.objects else {}
    if isinstance(raw, dict):
        if raw.get("target_object") not in {target, written.world.object_ids.get(target)}:
            raise written.invalid(f'Expected target_object "{target}"')
        if "target_record_id" not in raw:
            return {"target_object": target, "target_record_id": _matching(written, target)}
    record_id = written.text("target_record_id")
    if record_id not in entities:
        raise value_not_found(f'Record with ID "{record_id}" not found.')
    return {"target_object": target, "target_record_id": record_id}


def _matching(written: Written, target: str) -> str:
    """Return the one record that has the values given of a unique attribute."""
    unique = {each.slug: each for each in written.world.objects[target].attributes if each.is_unique}
    for name, given in written.raw.items():
        if name in unique and isinstance(given, list):
            parts = (Written(written.world, target, unique[name], raw) for raw in given)
            wanted = {identity(unique[name], fields_of(part)) for part in parts}
            for record_id, entity in written.world.entities(target).items():
                if wanted & {identity(unique[name], value) for value in entity.active(name)}:
                    return record_id
    raise value_not_found(f'No record of "{target}" matches the reference of "{written.attribute.slug}".')


_PARSERS: dict[str, Callable[[Written], Fields]] = {
    "text": _text,
    "date": _date,
    "personal-name": _name,
    "email-address": _email,
    "domain": _domain,
    "phone-number": _phone,
    "location": _location,
    "currency": _currency,
    "select": _select,
    "record-reference": _reference,
}
