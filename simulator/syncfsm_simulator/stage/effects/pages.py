"""What may happen to the rows of a page, which comes well and is not what it should be."""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

from syncfsm_simulator.stage.port import Port

AskedBy = Literal["sync", "deletion", "webhooks"]


class PageOfRows(msgspec.Struct, frozen=True):
    """The rows of an answer, at least one.

    Attributes:
        rows: The rows, as JSON has them.
        limit: The most that were asked for.
        rng: Chance for the details.
        unnamed: Where the ids go of people whose row comes without its id.
        asked_by: Who asks: a sync, one that deletes what is missing, or one that webhooks told of records.
        is_listed: Whether records were asked for by their ids.
    """

    rows: list[dict[str, Any]]
    limit: int
    rng: random.Random
    unnamed: set[str]
    asked_by: AskedBy
    is_listed: bool


Rows = list[dict[str, Any]]

ROWS_OF_A_SHORT_PAGE_MIN = 3
"""Of the row that is seen and a last one that is new, the new one would be left out: no page to tell."""

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


def short(page: PageOfRows) -> Rows:
    """Leave out the last rows of a page, up to half of them, where the sync is one that minds.

    A sync that only brings takes a short page for the end: that it may.
    """
    if page.asked_by != "deletion" or page.is_listed or len(page.rows) < ROWS_OF_A_SHORT_PAGE_MIN:
        return page.rows
    return page.rows[: -page.rng.randint(1, len(page.rows) // 2)]


def behind(page: PageOfRows) -> Rows:
    """Leave out everybody of whom a webhook has told: the index of queries is behind."""
    return [] if page.asked_by == "webhooks" and page.is_listed else page.rows
