"""What can go wrong, as data, and the draw that decides when: everything from the seed.

The world has *doors*, places where something can go wrong, and every visit to a door has a number. What
happens at visit 17 of a door is drawn from the seed, the door and the 17 alone: so a run can be written down
as a list of strikes, played again from that list, and made smaller by leaving strikes out, without the rest
changing. Whoever stands at a door (network.py, edges.py, changes.py) does what the strike's kind says.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

DOORS: dict[str, dict[str, tuple[str, ...]]] = {
    # group → door → kinds
    "rate_limited": {
        "request": (
            "limited_date",  # a date a few seconds ahead, as Attio sends it
            "limited_seconds",
            "limited_past",  # a date that has passed
            "limited_far",  # a date next year
            "limited_nonsense",
            "limited_bare",  # no Retry-After at all
            "limited_score",  # the score of the last ten seconds; a date
        )
    },
    "unavailable": {"request": ("error_500", "error_502", "error_503", "error_504", "merge_in_progress")},
    "network": {
        "request": ("refused", "connect_timeout", "read_timeout", "reset_before_body", "reset_in_body")
    },
    "body": {"request": ("truncated", "malformed", "empty", "wrong_shape", "oversized")},
    "rows": {"page": ("row_without_id", "row_twice")},
    "slow": {"request": ("slow",)},
    "denied": {"request": ("unauthorized",)},
    "sink": {"upsert": ("sink_refuses_one", "sink_refuses_all", "sink_locked", "sink_timeout_after_write")},
    "disk": {"append": ("disk_full", "log_locked")},
    "clock": {"request": ("clock_ahead", "clock_back")},
    "crash": {
        "request": ("crash_before_request", "crash_after_answer"),
        "upsert": ("crash_before_upsert", "crash_after_upsert"),
        "append": ("crash_before_append", "crash_after_append"),
        "sleep": ("crash_asleep",),
    },
    "rival": {"request": ("rival_step",), "upsert": ("duplicated_step",)},
    "cancel": {"request": ("cancelled",)},
}
"""Every kind of fault: by the group that has its rate, and by the door where it strikes."""

MOVES: tuple[str, ...] = (
    "created", "updated", "deleted", "imported", "peek_deleted", "page_deleted", "all_updated", "all_deleted",
)  # fmt: skip
"""How the world can move, before a request."""

WORLD = "world"

DOOR_OF: dict[str, str] = {
    **{kind: door for doors in DOORS.values() for door, kinds in doors.items() for kind in kinds},
    **dict.fromkeys(MOVES, WORLD),
}

KINDS: tuple[str, ...] = tuple(DOOR_OF)


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Average = Annotated[float, msgspec.Meta(ge=0, le=10_000)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class FaultRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often something of each group strikes at a visit to its door, from 0 to 1.

    Attributes:
        rate_limited: 429: `Retry-After` as a date, as seconds, past, far ahead, nonsense or missing; score.
        unavailable: 500 and 504 with JSON, 502 with HTML, 503 with plain text, a 404 for a merge under way.
        network: No connection, no answer in time, a reset before or within the body.
        body: A body that is cut short, malformed, empty, of another shape, or far too large.
        rows: A row without an id, or the same row twice.
        slow: An answer that takes many times as long.
        denied: The key is refused for once.
        sink: The sink refuses one record or all of a page, is locked, or times out after it has written.
        disk: The log's disk is full, or its file locked, at an append.
        clock: The clock jumps, ahead or back.
        crash: The engine dies: around a request, an upsert, an append, or asleep.
        rival: Another worker takes the same step meanwhile.
        cancel: Somebody cancels the sync.
    """

    rate_limited: Share = 0.0
    unavailable: Share = 0.0
    network: Share = 0.0
    body: Share = 0.0
    rows: Share = 0.0
    slow: Share = 0.0
    denied: Share = 0.0
    sink: Share = 0.0
    disk: Share = 0.0
    clock: Share = 0.0
    crash: Share = 0.0
    rival: Share = 0.0
    cancel: Share = 0.0


class ChangeRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often the world moves in each way before a request, on average; above 1 it is a number of people.

    Attributes:
        created: Somebody comes.
        updated: Somebody's title changes.
        deleted: Somebody goes.
        imported: A page or two of people come at once, all with one `created_at`, old or new.
        peek_deleted: The person with whom the next page must begin goes.
        page_deleted: A page of people around the place the sync has reached goes.
        all_updated: Everybody's title changes.
        all_deleted: Everybody goes.
    """

    created: Average = 0.0
    updated: Average = 0.0
    deleted: Average = 0.0
    imported: Average = 0.0
    peek_deleted: Average = 0.0
    page_deleted: Average = 0.0
    all_updated: Average = 0.0
    all_deleted: Average = 0.0


class Strike(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that goes wrong: `kind`, at visit number `at` of the kind's door, `times` times."""

    kind: str
    at: Count
    times: Count = 1


class Visit(msgspec.Struct, frozen=True):
    """One visit to a door: what strikes, and chance for the details, the same whatever else strikes."""

    strikes: tuple[Strike, ...]
    rng: random.Random

    @property
    def kind(self) -> str | None:
        """The kind that strikes, at doors where at most one does."""
        return self.strikes[0].kind if self.strikes else None


class Faults:
    """Decides what strikes at each visit, until all is calm, and keeps what has struck.

    Args:
        seed: The number that decides everything.
        rates: How often which faults strike.
        changes: How often the world moves.
        strikes: What strikes besides, whatever the rates draw.

    Attributes:
        struck: Everything that has struck, in order.
    """

    def __init__(
        self, seed: int, rates: FaultRates, changes: ChangeRates, strikes: Iterable[Strike] = ()
    ) -> None:
        self.struck: list[Strike] = []
        self._seed = seed
        self._rates = _by_door(rates)
        self._changes = {move: getattr(changes, move) for move in MOVES}
        self._visits: Counter[str] = Counter()
        self._is_calm = False
        self._script: dict[tuple[str, int], list[Strike]] = {}
        for strike in strikes:
            self._script.setdefault((DOOR_OF[strike.kind], strike.at), []).append(strike)

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self._is_calm = True

    def counts(self) -> Counter[str]:
        """Return how often each kind has struck."""
        counts: Counter[str] = Counter()
        for strike in self.struck:
            counts[strike.kind] += strike.times
        return counts

    def visit(self, door: str) -> Visit:
        """Return what strikes at the next visit to a door."""
        at = self._visits[door]
        self._visits[door] += 1
        strikes = () if self._is_calm else (*self._script.get((door, at), ()), *self._drawn(door, at))
        if door != WORLD:
            strikes = strikes[:1]
        self.struck += strikes
        return Visit(strikes, random.Random(f"{self._seed}:{door}:{at}"))

    def _drawn(self, door: str, at: int) -> Iterable[Strike]:
        rng = random.Random(f"{self._seed}:{door}:{at}:draw")
        if door == WORLD:
            times = ((kind, int(rate + rng.random())) for kind, rate in self._changes.items() if rate)
            return [Strike(kind=kind, at=at, times=count) for kind, count in times if count]
        number = rng.random()
        for kind, rate in self._rates.get(door, {}).items():
            number -= rate
            if number < 0:
                return [Strike(kind=kind, at=at)]
        return []


def no_faults() -> Faults:
    """Return faults of which none ever strikes."""
    return Faults(0, FaultRates(), ChangeRates())


def _by_door(rates: FaultRates) -> Mapping[str, Mapping[str, float]]:
    """Return door → kind → rate; the kinds of a group share its rate at each door."""
    found: dict[str, dict[str, float]] = {}
    for group, doors in DOORS.items():
        for door, kinds in doors.items():
            share = getattr(rates, group) / len(kinds)
            if share:
                found.setdefault(door, {}).update(dict.fromkeys(kinds, share))
    return found
