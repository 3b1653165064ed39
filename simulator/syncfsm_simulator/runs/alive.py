"""What must hold of deletions: an invariant of its own, which knows who is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncfsm_simulator.runs.invariants import Run


def nobody_alive_is_deleted(run: Run) -> str | None:
    """Nobody who is in the CRM is deleted from the sink, whatever an answer left out."""
    sql = "SELECT external_id FROM contacts WHERE deleted_at IS NOT NULL"
    deleted = {row[0] for row in run.contacts.execute(sql)}
    alive = deleted & run.world.entities("people").keys()
    return f"{len(alive)} people were deleted and are there, such as {min(alive)}" if alive else None
