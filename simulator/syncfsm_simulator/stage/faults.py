"""When what goes wrong, and how often: everything drawn from the seed.

The world has *ports*, places where something can go wrong, and every visit to a port has a number. What
happens at visit 17 of a port is drawn from the seed, the port and the 17 alone: so a run can be written down
as a list of strikes, played again from that list, and made smaller by leaving strikes out, without the rest
changing. What can go wrong, and what it does, is in fault_table.py.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from typing import Annotated, Any, Generic

import msgspec
from msgspec.structs import asdict

from syncfsm_simulator.stage.effects.moves import WORLD
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.port import C, Fault, FaultTable, Port, R

KINDS: tuple[str, ...] = tuple(fault.kind for fault in FAULTS)
"""Every kind of fault."""

MOVES: tuple[str, ...] = tuple(fault.kind for fault in FAULTS if fault.port is WORLD)
"""How the world can move, before a request."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Average = Annotated[float, msgspec.Meta(ge=0, le=10_000)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class FaultRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often something of each group strikes at a visit to its port, from 0 to 1.

    Attributes:
        rate_limited: 429: `Retry-After` as a date, as seconds, many seconds, past, far ahead, nonsense or
            missing; score.
        unavailable: 500 and 504 with JSON, 502 with HTML, 503 with plain text, a 404 for a merge under way.
        network: No connection, no answer in time, a reset before or within the body.
        body: A body that is cut short, malformed, empty, of another shape, or far too large.
        rows: A row without an id, or the same row twice.
        slow: An answer that takes many times as long, or trickles in.
        denied: The key is refused for once.
        sink: The sink refuses one record or all of a page, is locked, or times out after it has written or
            deleted.
        disk: The log's disk is full, or its file locked, at a write.
        clock: The clock jumps, ahead or back, by minutes, hours or days; an answer does not say of what
            moment it is, or says one to come.
        crash: The engine dies: around a request, an upsert, a deletion, a write to the log, or asleep.
        rival: Another worker takes the same step meanwhile.
        cancel: Somebody cancels the sync.
        absent: An attribute is missing from all rows for a while, or rows from the answer to a look-up.
        undecodable: A byte that is no UTF-8, in one row of a page or in a whole body.
        mistakes: The transform or the sink raises an error, as code with a mistake in it does.
        evidence: What is well-formed and not so: a page that is short for a moment where what is missing is
            deleted; an index that is behind what webhooks have told.
        backup: A copy of the sink is made, or put back; or the sink is lost. For the SQLite sink in memory.
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
    absent: Share = 0.0
    undecodable: Share = 0.0
    mistakes: Share = 0.0
    evidence: Share = 0.0
    backup: Share = 0.0


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
        merge_not_readable: Two become one, whom nobody can read for a while. Only where webhooks tell of it.
    """

    created: Average = 0.0
    updated: Average = 0.0
    deleted: Average = 0.0
    imported: Average = 0.0
    peek_deleted: Average = 0.0
    page_deleted: Average = 0.0
    all_updated: Average = 0.0
    all_deleted: Average = 0.0
    merge_not_readable: Average = 0.0


class Strike(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that goes wrong: `kind`, at visit number `at` of the kind's port, `times` times."""

    kind: str
    at: Count
    times: Count = 1


class Visit(msgspec.Struct, Generic[C, R], frozen=True, dict=True):
    """One visit to a port: what strikes, and the words that decide chance for the details."""

    port: Port[C, R]
    strikes: tuple[Strike, ...]
    faults: tuple[Fault, ...]
    words: str

    @cached_property
    def rng(self) -> random.Random:
        """Chance for the details, the same whatever else strikes; most visits need none."""
        return random.Random(self.words)

    @property
    def kind(self) -> str | None:
        """The kind that strikes, at ports where at most one does."""
        return self.strikes[0].kind if self.strikes else None

    def perform(self, call: C) -> R:
        """Do what is to be done at the port: what strikes does it, or it is done as usual."""
        does: Callable[[C], R] = self.faults[0].does if self.faults else self.port.usual
        return does(call)


class Faults:
    """Decides what strikes at each visit, until all is calm, and keeps what has struck.

    Args:
        seed: The number that decides everything.
        rates: How often which faults strike.
        changes: How often the world moves.
        strikes: What strikes besides, whatever the rates draw.
        table: What can strike.

    Attributes:
        struck: Everything that has struck, in order.
    """

    def __init__(
        self,
        seed: int,
        rates: FaultRates,
        changes: ChangeRates,
        strikes: Iterable[Strike] = (),
        table: FaultTable = FAULTS,
    ) -> None:
        self.struck: list[Strike] = []
        rate_of = asdict(rates) | asdict(changes)
        self._seed = seed
        self._together = _by_port(table.together, rate_of)
        self._apart = _by_port(table.apart, rate_of)
        self._visits: Counter[str] = Counter()
        self._is_calm = False
        self._faults = {fault.kind: fault for fault in table}
        self._script: dict[tuple[str, int], list[Strike]] = {}
        for strike in strikes:
            at = (self._faults[strike.kind].port.name, strike.at)
            self._script.setdefault(at, []).append(strike)

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self._is_calm = True

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self._is_calm

    def counts(self) -> Counter[str]:
        """Return how often each kind has struck."""
        counts: Counter[str] = Counter()
        for strike in self.struck:
            counts[strike.kind] += strike.times
        return counts

    def visit(self, port: Port[C, R]) -> Visit[C, R]:
        """Return what strikes at the next visit to a port."""
        at = self._visits[port.name]
        self._visits[port.name] += 1
        strikes = () if self._is_calm else tuple(self._strikes(port, at))
        if not port.takes_many:
            strikes = strikes[:1]
        self.struck += strikes
        faults = tuple(self._faults[strike.kind] for strike in strikes)
        return Visit(port, strikes, faults, f"{self._seed}:{port.name}:{at}")

    def _strikes(self, port: Port[Any, Any], at: int) -> Iterator[Strike]:
        """Yield what strikes at a visit: what is said to, then what is drawn together, then the others."""
        yield from self._script.get((port.name, at), ())
        for kind, times in chain(self._drawn_together(port, at), self._drawn_apart(port, at)):
            if times:
                yield Strike(kind=kind, at=at, times=times)

    def _drawn_together(self, port: Port[Any, Any], at: int) -> Iterator[tuple[str, int]]:
        rates = self._together.get(port.name)
        if not rates:
            return
        rng = random.Random(f"{self._seed}:{port.name}:{at}:draw")
        if port.takes_many:
            yield from ((kind, int(rate + rng.random())) for kind, rate in rates.items())
            return
        number = rng.random()
        for kind, rate in rates.items():
            number -= rate
            if number < 0:
                yield kind, 1
                return

    def _drawn_apart(self, port: Port[Any, Any], at: int) -> Iterator[tuple[str, int]]:
        for kind, rate in self._apart.get(port.name, {}).items():
            yield kind, int(rate + _chance(f"{self._seed}:{port.name}:{at}:{kind}"))


def no_faults() -> Faults:
    """Return faults of which none ever strikes."""
    return Faults(0, FaultRates(), ChangeRates())


def _by_port(faults: Iterable[Fault], rate_of: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return port → kind → how often it strikes at a visit, of those that strike at all."""
    found: dict[str, dict[str, float]] = {}
    for fault in faults:
        if rate_of[fault.group]:
            found.setdefault(fault.port.name, {})[fault.kind] = rate_of[fault.group] / fault.one_in
    return found


def _chance(words: str) -> float:
    """Return a number in [0, 1) that nothing but these words decides."""
    digest = blake2b(words.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48
