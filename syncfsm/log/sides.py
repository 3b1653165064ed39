"""The read model of sides, as SQL that every database takes alike. See `core.routes.Side`.

A row is changed with the process that changes it, in the same transaction, and at a cost that does not grow
with the log: only where a sync of all records is completed are those looked at that began since it did. What
the rows have to be is said once, by `OF_ALL`: with it they are verified, and made anew.

In a template, `{s}` stands for what is written before the name of a table, and `{id}` for the process.
"""

from __future__ import annotations

from typing import Any

import msgspec

from syncfsm.core.routes import Side
from syncfsm.core.state import Route
from syncfsm.core.times import parse_time
from syncfsm.errors import CorruptLog

COLUMNS = (
    "source, object, sink, mode, changed_by, first_position, last_position, last_id, done_id, done_at, "
    "done_position, watermark, items_left, fetching_position, found"
)
"""Of a side. Of none, `changed_by` is empty; `found` is the data of an event, as it is stored."""

_KEY = "source, object, sink, mode, changed_by"
_SAME_ROUTE = "{one}.source = {other}.source AND {one}.object = {other}.object AND {one}.sink = {other}.sink"
_ITS_ROUTE = _SAME_ROUTE.format(one="s", other="p")
_ITS_OWN = f"{_ITS_ROUTE} AND s.mode = p.mode AND s.changed_by = coalesce(p.changed_by, '')"

LEFT = """CASE {p}.mode WHEN 'initial' THEN {p}.created + {p}.updated + {p}.unchanged - {p}.deleted
    ELSE {p}.created - {p}.deleted - {p}.missing END"""
"""How many items more there are by a process; an initial sync has seen all that it leaves.

What an initial one took for missing is none of what it saw; what another did was there before.
"""

_LAST_INITIAL = f"""(
    SELECT max(i.done_position) FROM {{s}}sides AS i
    WHERE {_SAME_ROUTE.format(one="i", other="p")} AND i.mode = 'initial'
)"""  # noqa: S608 - all ours, here and below

_COUNTING = f"""
    FROM (
        SELECT q.watermark, {LEFT.format(p="q")} AS items_left FROM {{s}}processes AS q
        WHERE {_SAME_ROUTE.format(one="q", other="s")} AND q.mode = s.mode
            AND coalesce(q.changed_by, '') = s.changed_by AND q.state = 'COMPLETED'
            AND q.position >= p.position
        UNION ALL
        SELECT q.watermark, q.items_left FROM {{s}}prunings AS q
        WHERE {_SAME_ROUTE.format(one="q", other="s")} AND q.mode = s.mode AND q.changed_by = s.changed_by
            AND q.last_position >= p.position
    ) AS counted
"""  # noqa: S608 - all ours, here and below
"""Those that count, also of what was pruned: a pruning never has processes from both sides of an initial one
that stays (`pruning/choosing.py`)."""

BEGUN = f"""
INSERT INTO {{s}}sides ({_KEY}, first_position, last_position, last_id)
SELECT source, object, sink, mode, coalesce(changed_by, ''), position, position, id
FROM {{s}}processes WHERE id = {{id}}
ON CONFLICT ({_KEY}) DO UPDATE SET
    first_position = CASE WHEN sides.first_position < excluded.first_position THEN sides.first_position
        ELSE excluded.first_position END,
    last_id = CASE WHEN sides.last_position > excluded.last_position THEN sides.last_id
        ELSE excluded.last_id END,
    last_position = CASE WHEN sides.last_position > excluded.last_position THEN sides.last_position
        ELSE excluded.last_position END
"""  # noqa: S608
"""A process began."""

FETCHING = f"""
UPDATE {{s}}sides AS s SET fetching_position = p.fetching_position, found = (
    SELECT data FROM {{s}}events WHERE position = p.fetching_position
) FROM {{s}}processes AS p
WHERE p.id = {{id}} AND {_ITS_OWN} AND p.fetching_position >= coalesce(s.fetching_position, 0)
"""  # noqa: S608
"""It began to fetch."""

DONE = f"""
UPDATE {{s}}sides AS s SET
    done_id = CASE WHEN s.done_at > p.updated_at OR (s.done_at = p.updated_at AND s.done_id < p.id)
        THEN s.done_id ELSE p.id END,
    done_at = CASE WHEN s.done_at > p.updated_at THEN s.done_at ELSE p.updated_at END,
    done_position = CASE WHEN s.done_position > p.position THEN s.done_position ELSE p.position END
FROM {{s}}processes AS p WHERE p.id = {{id}} AND {_ITS_OWN}
"""  # noqa: S608
"""It was completed. What it left is counted by one of the next two."""

ADDED = f"""
UPDATE {{s}}sides AS s SET
    watermark = CASE WHEN p.watermark IS NULL OR s.watermark > p.watermark THEN s.watermark
        ELSE p.watermark END,
    items_left = s.items_left + {LEFT.format(p="p")}
FROM {{s}}processes AS p
WHERE p.id = {{id}} AND {_ITS_OWN} AND p.mode <> 'initial' AND p.position > {_LAST_INITIAL}
"""  # noqa: S608

COUNTED_ANEW = f"""
UPDATE {{s}}sides AS s SET
    watermark = (SELECT max(counted.watermark) {_COUNTING}),
    items_left = (SELECT coalesce(sum(counted.items_left), 0) {_COUNTING})
FROM {{s}}processes AS p
WHERE p.id = {{id}} AND {_ITS_ROUTE} AND p.mode = 'initial' AND p.position = {_LAST_INITIAL}
"""  # noqa: S608

_OF = f"""
SELECT {_KEY}, min(first_position) AS first_position, max(position) AS last_position,
    max(last_id) AS last_id, max(done_id) AS done_id, max(CASE WHEN is_done THEN updated_at END) AS done_at,
    max(CASE WHEN is_done THEN position END) AS done_position,
    max(CASE WHEN is_counted AND position >= since THEN watermark END) AS watermark,
    coalesce(sum(CASE WHEN is_counted AND position >= since THEN items_left END), 0) AS items_left,
    max(fetching_position) AS fetching_position, max(found) AS found
FROM (
    SELECT p.source, p.object, p.sink, p.mode, p.changed_by, p.first_position, p.position, p.updated_at,
        p.watermark, p.items_left, p.fetching_position, p.is_done, p.is_counted,
        max(CASE WHEN p.mode = 'initial' AND p.is_done THEN p.position END)
            OVER (PARTITION BY p.source, p.object, p.sink) AS since,
        first_value(p.id) OVER (PARTITION BY {_KEY} ORDER BY p.position DESC) AS last_id,
        first_value(CASE WHEN p.is_done THEN p.id END) OVER (
            PARTITION BY {_KEY} ORDER BY CASE WHEN p.is_done THEN 0 ELSE 1 END, p.updated_at DESC, p.id
        ) AS done_id,
        CASE WHEN p.fetching_position = max(p.fetching_position) OVER (PARTITION BY {_KEY})
            THEN (SELECT data FROM {{s}}events WHERE position = p.fetching_position) END AS found
    FROM (
        SELECT id, source, object, sink, mode, coalesce(changed_by, '') AS changed_by,
            position AS first_position, position, updated_at, watermark, fetching_position,
            state = 'COMPLETED' AS is_done, state = 'COMPLETED' AS is_counted,
            {LEFT.format(p="read")} AS items_left
        FROM {{s}}processes AS read{{pruned}}
    ) AS p
) AS placed
GROUP BY {_KEY}
"""  # noqa: S608

_PRUNED = """
        UNION ALL
        SELECT '', source, object, sink, mode, changed_by, first_position, last_position, '', watermark, NULL,
            1 = 0, 1 = 1, items_left
        FROM {s}prunings"""

OF_PROCESSES = _OF.replace("{pruned}", "")
"""What the sides have to be, by the processes, where none was ever pruned: as the migrations make them."""

OF_ALL = _OF.replace("{pruned}", _PRUNED)
"""What they have to be, by the processes and by what was pruned, of which no last one ever is."""

MADE = f"INSERT INTO {{s}}sides ({COLUMNS}) SELECT {COLUMNS} FROM ({OF_PROCESSES}) AS made"  # noqa: S608

MADE_ANEW = f"INSERT INTO {{s}}sides ({COLUMNS}) SELECT {COLUMNS} FROM ({OF_ALL}) AS made"  # noqa: S608

DOUBTED = f"""
SELECT source, object, sink FROM (
    SELECT {COLUMNS} FROM {{s}}sides EXCEPT SELECT {COLUMNS} FROM ({OF_ALL}) AS due
) AS others
UNION
SELECT source, object, sink FROM (
    SELECT {COLUMNS} FROM ({OF_ALL}) AS due EXCEPT SELECT {COLUMNS} FROM {{s}}sides
) AS missing
ORDER BY 1, 2, 3
"""  # noqa: S608
"""The routes of which the sides are not what they have to be."""


class _Data(msgspec.Struct):
    found: dict[str, str]


_data = msgspec.json.Decoder(_Data)


def side(row: tuple[Any, ...]) -> Side:
    """Return what a row of `COLUMNS` says.

    Raises:
        CorruptLog: The event cannot be decoded with which a process began to fetch.
    """
    source, object_, sink, mode, changed_by, first_position, last_position, last, *rest = row
    done, done_at, done_position, watermark, items_left, fetching_position, found = rest
    return Side(
        route=Route(source=source, object=object_, sink=sink),
        mode=mode,
        changed_by=changed_by or None,
        first_position=first_position,
        last_position=last_position,
        last=last,
        done=done,
        done_at=parse_time(done_at) if done_at else None,
        done_position=done_position,
        watermark=parse_time(watermark) if watermark else None,
        items_left=int(items_left),
        fetching_position=fetching_position,
        found=_found(found, fetching_position),
    )


def _found(data: str | None, position: int) -> dict[str, str] | None:
    try:
        return _data.decode(data).found if data is not None else None
    except msgspec.DecodeError as error:
        raise CorruptLog(
            f"position {position}: the data of a stored FetchingBegan does not fit: {error}"
        ) from error


def doubt(route: tuple[Any, ...]) -> str:
    """Return a row of `DOUBTED` in words."""
    source, object_, sink = route
    return f"the read model of {object_} of {source} into {sink} does not agree with its processes"
