"""Contact: what a person becomes on the way from a CRM to a sink."""

from __future__ import annotations

from syncfsm.core.value import Value


class Contact(Value, frozen=True):
    """One person, as sinks take them. Keyed by (`source`, `external_id`).

    Attributes:
        external_id: The person's record id in the source.
        source: The name of the source.
        phone_numbers: E.164 where the source says so; active ones only, in the source's order.
        emails: Active ones only, in the source's order.
        source_url: The person's page in the source.
        unknown: The names of fields of which the source did not say what is in them. They are empty here, and
            a sink keeps what it has of them; an empty field that is not named here is empty in the source.
    """

    external_id: str
    source: str
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    role: str | None = None
    phone_numbers: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    source_url: str | None = None
    unknown: frozenset[str] = frozenset()


KEYS = ("external_id", "source")
"""The fields that name a contact."""

FIELDS = tuple(name for name in Contact.__struct_fields__ if name not in {*KEYS, "unknown"})
"""The fields that say something of the person, in the order in which they are stored."""
