"""The standard objects of an Attio workspace and their attributes, as data.

Order, types and flags are those of Attio's people and companies; custom attributes would follow them.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace


class Attribute(msgspec.Struct, frozen=True):
    """One attribute of an object, as `GET /v2/objects/{object}/attributes` tells of it.

    `target` is the object that a reference points to, `options` the titles that a select may have.
    """

    slug: str
    title: str
    type: str
    is_unique: bool = False
    is_multiselect: bool = False
    is_writable: bool = True
    target: str | None = None
    options: tuple[str, ...] = ()


class ObjectType(msgspec.Struct, frozen=True):
    """One kind of record."""

    slug: str
    singular: str
    plural: str
    attributes: tuple[Attribute, ...]

    def having(self, attribute: Attribute) -> ObjectType:
        """Return the object with one more attribute."""
        return replace(self, attributes=(*self.attributes, attribute))


def _system(
    slug: str, title: str, type_: str, *, unique: bool = False, options: tuple[str, ...] = ()
) -> Attribute:
    """Return an attribute that only Attio writes."""
    return Attribute(slug, title, type_, is_unique=unique, is_writable=False, options=options)


def _reference(slug: str, title: str, target: str, *, several: bool = False) -> Attribute:
    return Attribute(slug, title, "record-reference", is_multiselect=several, target=target)


STRENGTHS = ("Very weak", "Weak", "Good", "Strong", "Very strong")
CATEGORIES = ("Education", "Energy", "Finance", "Food", "Health care", "Software", "Transportation")
REVENUES = ("$0-$1M", "$1M-$10M", "$10M-$100M", "$100M+")
EMPLOYEES = ("1-10", "11-50", "51-250", "251-1000", "1001+")


_INTERACTIONS = (
    _system("first_calendar_interaction", "First calendar interaction", "interaction"),
    _system("last_calendar_interaction", "Last calendar interaction", "interaction"),
    _system("next_calendar_interaction", "Next calendar interaction", "interaction"),
    _system("first_email_interaction", "First email interaction", "interaction"),
    _system("last_email_interaction", "Last email interaction", "interaction"),
    _system("first_interaction", "First interaction", "interaction"),
    _system("last_interaction", "Last interaction", "interaction"),
    _system("next_interaction", "Next interaction", "interaction"),
)

_CONNECTIONS = (
    _system("strongest_connection_strength_legacy", "Connection strength (legacy)", "number"),
    _system("strongest_connection_strength", "Connection strength", "select", options=STRENGTHS),
    _system("strongest_connection_user", "Strongest connection", "actor-reference"),
)

_ORIGIN = (
    _reference("associated_deals", "Associated deals", "deals", several=True),
    _system("created_at", "Created at", "timestamp"),
    _system("created_by", "Created by", "actor-reference"),
)

_SOCIAL = (
    Attribute("angellist", "AngelList", "text"),
    Attribute("facebook", "Facebook", "text"),
    Attribute("instagram", "Instagram", "text"),
    Attribute("linkedin", "LinkedIn", "text"),
    Attribute("twitter", "Twitter", "text"),
    _system("twitter_follower_count", "Twitter follower count", "number"),
)

PEOPLE = ObjectType(
    "people",
    "Person",
    "People",
    (
        _system("record_id", "Record ID", "text", unique=True),
        Attribute("name", "Name", "personal-name"),
        Attribute("email_addresses", "Email addresses", "email-address", is_unique=True, is_multiselect=True),
        Attribute("description", "Description", "text"),
        _reference("company", "Company", "companies"),
        Attribute("job_title", "Job title", "text"),
        _system("avatar_url", "Avatar URL", "text"),
        Attribute("phone_numbers", "Phone numbers", "phone-number", is_multiselect=True),
        Attribute("primary_location", "Primary location", "location"),
        *_SOCIAL,
        *_INTERACTIONS,
        *_CONNECTIONS,
        *_ORIGIN,
    ),
)

COMPANIES = ObjectType(
    "companies",
    "Company",
    "Companies",
    (
        _system("record_id", "Record ID", "text", unique=True),
        Attribute("domains", "Domains", "domain", is_unique=True, is_multiselect=True),
        Attribute("name", "Name", "text"),
        Attribute("description", "Description", "text"),
        _reference("team", "Team", "people", several=True),
        Attribute("categories", "Categories", "select", is_multiselect=True, options=CATEGORIES),
        Attribute("primary_location", "Primary location", "location"),
        _system("logo_url", "Logo URL", "text"),
        *_SOCIAL,
        _system("estimated_arr_usd", "Estimated ARR", "select", options=REVENUES),
        Attribute("funding_raised_usd", "Funding raised", "currency"),
        Attribute("foundation_date", "Foundation date", "date"),
        _system("employee_range", "Employee range", "select", options=EMPLOYEES),
        *_INTERACTIONS,
        *_CONNECTIONS,
        *_ORIGIN,
    ),
)

OBJECTS: dict[str, ObjectType] = {"companies": COMPANIES, "people": PEOPLE}

UPDATED_AT = _system("updated_at", "Updated at", "timestamp")
"""What Attio's records do not have; a world may, to try what a client would do with it."""

PROPERTIES: dict[str, tuple[str, ...]] = {
    "personal-name": ("full_name", "first_name", "last_name"),
    "email-address": (
        "email_address",
        "original_email_address",
        "email_domain",
        "email_root_domain",
        "email_local_specifier",
    ),
    "phone-number": ("phone_number", "original_phone_number", "country_code"),
    "record-reference": ("target_record_id", "target_object"),
    "actor-reference": ("referenced_actor_id", "referenced_actor_type"),
    "domain": ("domain", "root_domain"),
    "location": (
        "locality",
        "line_1",
        "line_2",
        "line_3",
        "line_4",
        "region",
        "postcode",
        "country_code",
        "latitude",
        "longitude",
    ),
    "interaction": ("interacted_at", "interaction_type"),
    "currency": ("currency_value", "currency_code"),
    "select": ("option",),
}
"""The properties of a value that filters and sorts may name; the first is meant when they name none."""


def properties(type_: str) -> tuple[str, ...]:
    """Return the properties that values of a type have; all types not named have `value` alone."""
    return PROPERTIES.get(type_, ("value",))
