"""How the world may move before a request: who comes, changes and goes."""

from __future__ import annotations

import random

import msgspec

from syncfsm_simulator.stage.changes_before_requests import Changes
from syncfsm_simulator.stage.port import Port
from syncfsm_simulator.world.records import HISTORY


class Move(msgspec.Struct, frozen=True):
    """A move of the world: whom it touches is kept in `changes`; it is made so many `times`."""

    changes: Changes
    times: int
    rng: random.Random


def _stand_still(_: Move) -> None:
    """What is usual: nobody moves."""


WORLD: Port[Move, None] = Port("world", _stand_still, takes_many=True)


def created(move: Move) -> None:
    """Let somebody come."""
    move.changes.create(move.times)


def updated(move: Move) -> None:
    """Change somebody's title."""
    move.changes.update(move.changes.anybody(move.times, move.rng))


def deleted(move: Move) -> None:
    """Let somebody go."""
    move.changes.delete(move.changes.anybody(move.times, move.rng))


def imported(move: Move) -> None:
    """Let people come at once with one `created_at`: that of the import, or one out of their past."""
    is_old = move.rng.random() < 0.5
    age_s = move.rng.uniform(0, HISTORY.total_seconds()) if is_old else 0.0
    move.changes.bring(move.rng.randrange(1, 2 * move.changes.page_size + 2), age_s)


def merged(move: Move) -> None:
    """Make one person of two, whom nobody can read for a while though webhooks have told of them."""
    if move.changes.is_told:
        move.changes.merge(move.changes.anybody(2, move.rng))


def peek_deleted(move: Move) -> None:
    """Let the person go with whom the next page must begin."""
    move.changes.delete([move.changes.peek])


def page_deleted(move: Move) -> None:
    """Let a page of people go, around the place that the sync has reached."""
    move.changes.delete(move.changes.around_peek(move.rng))


def all_updated(move: Move) -> None:
    """Change everybody's title."""
    move.changes.update(move.changes.everybody)


def all_deleted(move: Move) -> None:
    """Let everybody go."""
    move.changes.delete(move.changes.everybody)
