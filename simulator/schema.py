"""The standard objects of an Attio workspace and their attributes, as data.

Order, types and flags are those of Attio's people and companies; custom attributes would follow them.
"""

from __future__ import annotations

import msgspec


class Attribute(msgspec.Struct, frozen=True):
    """One attribute of an object, as `GET /v2/objects/{object}/attributes` tells of it."""

    slug: str
    title: str
    type: str
    is_unique: bool = False
    is_multiselect: bool = False
    is_writable: bool = True


class ObjectType(msgspec.Struct, frozen=True):
    """One kind of record."""

    slug: str
    singular: str
    plural: str
    attributes: tuple[Attribute, ...]


def _system(slug: str, title: str, type_: str, *, unique: bool = False) -> Attribute:
    """Return an attribute that only Attio writes."""
    return Attribute(slug, title, type_, is_unique=unique, is_writable=False)


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
    _system("strongest_connection_strength", "Connection strength", "select"),
    _system("strongest_connection_user", "Strongest connection", "actor-reference"),
)

_ORIGIN = (
    Attribute("associated_deals", "Associated deals", "record-reference", is_multiselect=True),
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
        Attribute("company", "Company", "record-reference"),
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
        Attribute("team", "Team", "record-reference", is_multiselect=True),
        Attribute("categories", "Categories", "select", is_multiselect=True),
        Attribute("primary_location", "Primary location", "location"),
        _system("logo_url", "Logo URL", "text"),
        *_SOCIAL,
        _system("estimated_arr_usd", "Estimated ARR", "select"),
        Attribute("funding_raised_usd", "Funding raised", "currency"),
        Attribute("foundation_date", "Foundation date", "date"),
        _system("employee_range", "Employee range", "select"),
        *_INTERACTIONS,
        *_CONNECTIONS,
        *_ORIGIN,
    ),
)

OBJECTS: dict[str, ObjectType] = {"companies": COMPANIES, "people": PEOPLE}

DEFAULT_PROPERTY: dict[str, str] = {
    "personal-name": "full_name",
    "email-address": "email_address",
    "phone-number": "phone_number",
    "record-reference": "target_record_id",
    "actor-reference": "referenced_actor_id",
    "domain": "domain",
    "location": "locality",
    "interaction": "interacted_at",
    "currency": "currency_value",
    "select": "option",
}
"""The property that a filter or sort means when it names none; `value` for all other types."""
