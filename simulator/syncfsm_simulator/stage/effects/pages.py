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
    """

    rows: list[dict[str, Any]]
    limit: int
    rng: random.Random
    unnamed: set[str]


Rows = list[dict[str, Any]]

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
