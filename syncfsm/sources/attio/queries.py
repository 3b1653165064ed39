"""The bodies of Attio's queries: which records, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from syncfsm.core.options import Order
from syncfsm.core.paging.pages import PageRequest

_DIRECTIONS: Mapping[Order, str] = {"newest": "desc", "oldest": "asc"}
"""Those of the sort key. In the order of ids there are no sorts: Attio then answers in ascending record_id,
and the query costs no score."""

_FROM: Mapping[Order, str] = {"newest": "$lte", "oldest": "$gte"}
"""What comes from a sort key on."""

_RESOLUTION = timedelta(milliseconds=1)
"""Of the moments in filters; records say when they were created to the nanosecond."""


def sorts_of(request: PageRequest) -> list[dict[str, str]]:
    """Return the sorts of a request: by the time of creation or of the last change, then by id."""
    if request.order not in _DIRECTIONS:
        return []
    return [
        {"direction": _DIRECTIONS[request.order], "attribute": request.changed_by or "created_at"},
        {"direction": "asc", "attribute": "record_id"},
    ]


def page_body(request: PageRequest, sorts: list[dict[str, str]]) -> dict[str, Any]:
    """Return the body of a query for a page, with sorts."""
    body: dict[str, Any] = {"limit": request.limit, "offset": request.offset}
    wanted = {} if request.since is None else {"$gte": _moment(request.since)}
    if request.from_key is not None:
        wanted |= _from_key(request.from_key, request.order)
    if wanted:
        body["filter"] = {request.changed_by or "created_at": wanted}
    return {**body, "sorts": sorts} if sorts else body


def listed_body(request: PageRequest) -> dict[str, Any]:
    """Return the body of a query for records by their ids."""
    return {**_by_ids(request.record_ids), "offset": 0}


def _by_ids(record_ids: Sequence[str]) -> dict[str, Any]:
    return {"filter": {"record_id": {"$in": record_ids}}, "limit": len(record_ids)}


def _from_key(key: str, order: Order) -> dict[str, str]:
    """Return the condition on what comes from a sort key on: a little more than that, and never less."""
    at = datetime.fromisoformat(f"{key[:23]}Z")
    is_rounded = order == "newest" and key[23:].strip("0Z") != ""
    return {_FROM[order]: _moment(at + _RESOLUTION if is_rounded else at)}


def _moment(at: datetime) -> str:
    """Return a moment as Attio's filters read it, date and time: never later than it is."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
