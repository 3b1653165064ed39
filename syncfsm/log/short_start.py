"""The start of an ongoing sync, as it is stored: only what is not so in nearly all of them.

What is left out is what `LEFT_OUT` says, whatever the defaults are when it is read: a log must not come to
mean something else with a later version. So the tables never change; with other defaults comes a higher
schema of `SyncStarted`, with tables of its own, and the step from this one to it is `filled`.

Starts in other modes are stored whole, in schema 1: there are few of them, and they stay byte for byte what
they were.
"""

from __future__ import annotations

from typing import Any

import msgspec

from syncfsm.core import events as e

SCHEMA_WHOLE = 1
"""The schema of a start that leaves nothing out."""

OPTIONS_LEFT_OUT: dict[str, Any] = {
    "pagination": "offset",
    "termination": "peek",
    "confirm_end": False,
    "limit_max": 500,
    "attempts_max": 8,
    "backoff_s_base": 0.5,
    "wait_s_max": 300.0,
    "waiting_s_max": 3600.0,
    "step_backs_max": 32,
    "stalled_rows_max": 100_000,
    "stalled_pages_max": 1000,
    "reject_ratio_max": 0.01,
    "reject_min": 10,
    "overlap_s": 300.0,
    "sweeps_max": 10,
    "missing_ratio_max": 0.5,
    "blanked_ratio_max": 0.5,
    "blanked_min": 10,
    "deletions_min": 10,
    "asks_max": 8,
    "singly_max": 20,
    "request_s_max": 120.0,
}
"""The options that schema 2 leaves out, each where it has this value."""

LEFT_OUT: dict[str, Any] = {
    "options": {},
    "parent": None,
    "record_ids": [],
    "changed_by": None,
    "deletes_missing": False,
    "may_be_gone": None,
}
"""The fields that it leaves out, likewise."""


def stored(event: e.SyncStarted) -> tuple[int, bytes]:
    """Return the schema of a start, and its data."""
    whole = msgspec.json.encode(event)
    if event.mode != "ongoing":
        return SCHEMA_WHOLE, whole
    shape = msgspec.json.decode(whole)
    shape["options"] = _without(shape["options"], OPTIONS_LEFT_OUT)
    return event.schema, msgspec.json.encode(_without(shape, LEFT_OUT))


def filled(shape: dict[str, Any]) -> dict[str, Any]:
    """Return the data with what was left out; what is no data of a start stays none."""
    shape = LEFT_OUT | shape
    options = shape["options"]
    return shape | {"options": OPTIONS_LEFT_OUT | options} if isinstance(options, dict) else shape


def _without(shape: dict[str, Any], left_out: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if name not in left_out or value != left_out[name]}
