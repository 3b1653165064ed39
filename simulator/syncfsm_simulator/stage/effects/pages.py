"""What may happen to the rows of a page, which comes well and is not what it should be."""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

from syncfsm_simulator.stage.port import Port

HIDDEN_PAGES_MAX = 30
"""The most pages for which an attribute is away."""

ATTRIBUTES = ("company", "email_addresses", "job_title", "name", "phone_numbers")
"""Attributes that may be away: those that contacts are made of."""
AskedBy = Literal["sync", "deletion", "webhooks"]


class PageOfRows(msgspec.Struct, frozen=True):
    """The rows of an answer, at least one.

    Attributes:
        rows: The rows, as JSON has them.
        limit: The most that were asked for.
        rng: Chance for the details.
        unnamed: Where the ids go of people whose row comes without its id.
        hidden: Where the attributes go that rows come without, each with the pages until it is there again.
        undecoded: Where the ids go of people whose row comes with a byte that is no text.
        asked_by: Who asks: a sync, one that deletes what is missing, or one that webhooks told of records.
        is_listed: Whether records were asked for by their ids.
    """

    rows: list[dict[str, Any]]
    limit: int
    rng: random.Random
    unnamed: set[str]
    hidden: dict[str, int]
    undecoded: set[str]
    asked_by: AskedBy
    is_listed: bool


Rows = list[Any]
"""Rows as JSON has them, or as bytes that are to be sent as they are."""

NO_TEXT = b"caf\xe9"
_PLACE = b"a-place-for-bytes"

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


def attribute_gone(page: PageOfRows) -> Rows:
    """Let an attribute vanish from all rows, for this page and some that follow."""
    page.hidden[page.rng.choice(ATTRIBUTES)] = page.rng.randrange(1, HIDDEN_PAGES_MAX + 1)
    return page.rows


def without_hidden(rows: Rows, hidden: dict[str, int]) -> set[tuple[str, str]]:
    """Take the hidden attributes away from the rows of a page; return from whom, and which."""
    taken = {
        (row["id"].get("record_id", ""), slug)
        for slug in hidden
        for row in rows
        if isinstance(row, dict) and row["values"].pop(slug, 0)
    }
    for slug in list(hidden):
        hidden[slug] -= 1
        if not hidden[slug]:
            del hidden[slug]
    return taken


# ── look-ups ─────────────────────────────────────────────────────────────────────────────────


class LookedUp(msgspec.Struct, frozen=True):
    """The rows that answer a look-up, at least one, and chance for the details."""

    rows: list[dict[str, Any]]
    rng: random.Random


LOOK_UP: Port[LookedUp, Rows] = Port("look_up", lambda found: found.rows)


def look_up_short(found: LookedUp) -> Rows:
    """Leave out some of the rows, or all."""
    return found.rng.sample(found.rows, found.rng.randrange(len(found.rows)))


def undecodable_row(page: PageOfRows) -> Rows:
    """Put a byte that is no UTF-8 into one row, as an import of Latin-1 leaves it."""
    place = page.rng.randrange(len(page.rows))
    row = {**page.rows[place], "web_url": _PLACE.decode()}
    page.undecoded.add(row["id"]["record_id"])
    sent = msgspec.Raw(msgspec.json.encode(row).replace(_PLACE, NO_TEXT))
    return [*page.rows[:place], sent, *page.rows[place + 1 :]]
