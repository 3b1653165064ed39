"""What a contact must be, straight from the world: an oracle that shares no code with syncfsm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from syncfsm_simulator.world.entity import Entity, Values


def expected(values: Values) -> tuple[Any, ...]:
    """Return first name, last name, role, phone numbers and emails as the sink must hold them."""
    name = next(iter(_active(values["name"])), {})
    title = next(iter(_active(values["job_title"])), {})
    phones = [value["phone_number"] for value in _active(values["phone_numbers"])]
    emails = [value["email_address"] for value in _active(values["email_addresses"])]
    return (
        name.get("first_name") or None,
        name.get("last_name") or None,
        title.get("value") or None,
        msgspec.json.encode(phones).decode(),
        msgspec.json.encode(emails).decode(),
    )


def company_of(values: Values, companies: Mapping[str, Entity]) -> str | None:
    """Return the name of the company that somebody works for, if it has one."""
    reference = next(iter(_active(values["company"])), None)
    company = companies.get(reference["target_record_id"]) if reference else None
    name = next(iter(_active(company.values["name"])), None) if company else None
    return name["value"] if name else None


def _active(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [value for value in values if value["active_until"] is None]
