"""What must hold of the fields of contacts: none is lost that the CRM has, whatever an answer left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from syncfsm.sources.attio.attributes import MAPPED

if TYPE_CHECKING:
    from syncfsm_simulator.runs.invariants import Run

NAMES = ("first_name", "last_name", "role", "phone_numbers", "emails")
"""The fields of which the oracle says what is in them, in its order."""

CHANGING = "role"
"""What changes of people while a world moves: a page that was read before may have had none yet."""

EMPTY = frozenset({None, "[]"})


def no_field_blanked(run: Run) -> str | None:
    """No field is emptied in the sink that the CRM still has, because an answer did not speak of it."""
    survivors = run.changes.survivors if run.blanked else frozenset()
    for record_id, name in sorted(run.blanked):
        is_changed = name == CHANGING and record_id in run.changes.updated
        is_there = record_id in survivors and not is_changed
        if is_there and _wanted(run, record_id)[name] not in EMPTY:
            return f"{record_id} had a value in {name} and lost it"
    return None


def companies_are_named(run: Run) -> str | None:
    """Everybody who came has the name of the company that they work for, though an answer left it out."""
    if run.process.source.partition(":")[0] != "attio":
        return None
    untouched, people = run.changes.untouched, run.known
    wrong = [
        (record_id, found, people[record_id].company)
        for record_id, found in _companies(run)
        if record_id in untouched
        and found != people[record_id].company
        and (record_id, "company") not in run.untold
    ]
    return "{} has the company {}, not {}".format(*min(wrong)) if wrong else None


FIELDS = (companies_are_named, no_field_blanked)
"""What must hold of the fields of contacts, where a run knows what they are."""


def fits(run: Run, record_id: str, found: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Whether a contact is as the CRM has it, but for what it was never told."""
    untold = {field for slug in MAPPED if (record_id, slug) in run.untold for field in MAPPED[slug].fields}
    return all(
        has == should or (name in untold and has in EMPTY)
        for name, has, should in zip(NAMES, found, wanted, strict=True)
    )


def _wanted(run: Run, record_id: str) -> dict[str, Any]:
    person = run.known[record_id]
    return {**dict(zip(NAMES, person.fields, strict=True)), "company": person.company}


def _companies(run: Run) -> Iterator[tuple[str, str | None]]:
    yield from run.contacts.execute("SELECT external_id, company FROM contacts WHERE deleted_at IS NULL")


def contacts_of(run: Run) -> dict[str, tuple[Any, ...]]:
    """Return what the sink has, by external id."""
    sql = "SELECT external_id, first_name, last_name, role, phone_numbers, emails FROM contacts"
    sql += " WHERE deleted_at IS NULL"
    return {row[0]: tuple(row[1:]) for row in run.contacts.execute(sql)}
