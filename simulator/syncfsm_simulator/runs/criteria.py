"""The success criteria of the plan that this project grew from, judged one by one."""

from __future__ import annotations

from syncfsm.core.machine import State
from syncfsm_simulator.runs.fields import contacts_of
from syncfsm_simulator.runs.invariants import Check, Run

MINUTES_MAX = 20
ERROR_RATE_MAX = 0.01


def progress_is_tracked(run: Run) -> str | None:
    """Progress is visible: the totals grow page by page."""
    fetched = [moment.after.progress.fetched for moment in run.histories[-1]]
    if fetched != sorted(fetched):
        return "the totals went down"
    steps = len(set(fetched)) - 1
    return (
        None
        if steps == run.process.progress.pages
        else f"{steps} steps for {run.process.progress.pages} pages"
    )


def everybody_arrives(run: Run) -> str | None:
    """All people are in the sink: the counts match."""
    arrived, there = len(contacts_of(run)), len(run.world.entities("people"))
    return None if arrived == there else f"{arrived} of {there} people arrived"


def nobody_twice(run: Run) -> str | None:
    """There are no duplicates."""
    (rows,) = run.contacts.execute("SELECT count(*) FROM contacts").fetchone()
    return None if rows == len(contacts_of(run)) else f"{rows} rows for {len(contacts_of(run))} people"


def fast_enough(run: Run) -> str | None:
    """It takes at most 20 minutes."""
    took_s = (run.process.updated_at - run.process.started_at).total_seconds()
    is_done = run.process.state is State.COMPLETED and took_s <= MINUTES_MAX * 60
    return None if is_done else f"{run.process.state} after {took_s:.0f} s"


def no_rate_limit_hit(run: Run) -> str | None:
    """No 429."""
    limited = run.process.progress.rate_limited
    return f"{limited} requests were refused for their rate" if limited else None


def few_errors(run: Run) -> str | None:
    """The error rate is under 1%."""
    progress = run.process.progress
    rate = progress.rejected / max(1, progress.fetched)
    return f"{rate:.1%} of the people were rejected" if rate >= ERROR_RATE_MAX else None


CRITERIA: tuple[Check, ...] = (
    progress_is_tracked,
    everybody_arrives,
    nobody_twice,
    fast_enough,
    no_rate_limit_hit,
    few_errors,
)
"""What must hold of a run of the scenario `seed-5000`, beside the invariants."""
