"""What may happen to the rows of a page, which comes well and is not what it should be."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from syncfsm_simulator.stage.port import Port


class PageOfRows(msgspec.Struct, frozen=True):
    """The rows of an answer, at least one.

    Attributes:
        rows: The rows, as JSON has them.
        limit: The most that were asked for.
        rng: Chance for the details.
        unnamed: Where the ids go of people whose row comes without its id.
        undecoded: Where the ids go of people whose row comes with a byte that is no text.
    """

    rows: list[dict[str, Any]]
    limit: int
    rng: random.Random
    unnamed: set[str]
    undecoded: set[str]


Rows = list[Any]
"""Rows as JSON has them, or as bytes that are to be sent as they are."""

NO_TEXT = b"caf\xe9"
_PLACE = b"a-place-for-bytes"

PAGE: Port[PageOfRows, Rows] = Port("page", lambda page: page.rows)


def row_without_id(page: PageOfRows) -> Rows:
    """Take away the id of one row."""
    row = page.rows[page.rng.randrange(len(page.rows))]
    page.unnamed.add(row["id"].pop("record_id"))
    return page.rows


def row_twice(page: PageOfRows) -> Rows:
    """Let one row come twice, within the limit."""
    place = page.rng.randrange(len(page.rows))
    return [*page.rows[:place], page.rows[place], *page.rows[place:]][: page.limit]


def undecodable_row(page: PageOfRows) -> Rows:
    """Put a byte that is no UTF-8 into one row, as an import of Latin-1 leaves it."""
    place = page.rng.randrange(len(page.rows))
    row = {**page.rows[place], "web_url": _PLACE.decode()}
    page.undecoded.add(row["id"]["record_id"])
    sent = msgspec.Raw(msgspec.json.encode(row).replace(_PLACE, NO_TEXT))
    return [*page.rows[:place], sent, *page.rows[place + 1 :]]
