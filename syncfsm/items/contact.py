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
