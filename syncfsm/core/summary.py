"""What a process came to, as plain values: the one shape behind `--json`, tables and sentences."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from syncfsm.core.process import Process
from syncfsm.core.source_name import account_of


def summary(process: Process) -> dict[str, Any]:
    """Return the state and the totals of a process, ready for JSON."""
    progress = process.progress
    return {
        "process": process.id,
        "state": process.state.value,
        "mode": process.mode,
        "parent": process.parent,
        "version": process.version,
        "source": process.source,
        "account": account_of(process.source) or None,
        "object": process.object,
        "sink": process.sink,
        "pages": progress.pages,
        "fetched": progress.fetched,
        "total": progress.total,
        "delivered": progress.delivered,
        "created": progress.created,
        "updated": progress.updated,
        "unchanged": progress.unchanged,
        "deleted": progress.deleted,
        "missing": progress.missing,
        "rejected": progress.rejected,
        "left_out": progress.left_out,
        "retries": progress.retries,
        "rate_limited": progress.rate_limited,
        "shifts": progress.shifts,
        "waited_s": round(progress.waited_s, 3),
        "records_per_s": round(process.records_per_s, 1),
        "cursor": process.paging.cursor,
        "started_at": to_builtins(process.started_at),
        "updated_at": to_builtins(process.updated_at),
        "since": to_builtins(process.since),
        "watermark": to_builtins(process.watermark),
        "retry": to_builtins(process.retry),
        "failure": to_builtins(process.failure),
    }
