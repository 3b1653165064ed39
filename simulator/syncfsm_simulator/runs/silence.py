"""What must never be written down: keys, and what the errors of somebody's code say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncfsm_simulator.stage.effects.mistakes import QUOTED

if TYPE_CHECKING:
    from syncfsm_simulator.runs.invariants import Run


def no_secret_shows(run: Run) -> str | None:
    """The key is nowhere in the log or in the sink, whatever a careless server repeats."""
    for row in run.log.stored_events():
        if run.key in row.data or run.key in row.meta:
            return f"position {row.position} of the log holds the key"
    columns = [name for (name,) in run.contacts.execute("SELECT name FROM pragma_table_info('contacts')")]
    told = " OR ".join(f"instr({column}, :key)" for column in columns)
    sql = f"SELECT 1 FROM contacts WHERE {told}"  # noqa: S608 - ours
    return "the sink holds the key" if run.contacts.execute(sql, {"key": run.key}).fetchone() else None


def nobody_is_quoted(run: Run) -> str | None:
    """What an error says that somebody's transform or sink raises is nowhere in the log."""
    for row in run.log.stored_events():
        if QUOTED in row.data:
            return f"position {row.position} of the log repeats it"
    return None
