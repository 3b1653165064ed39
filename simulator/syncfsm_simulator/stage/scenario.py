"""A scenario: everything that decides a simulation but the seed. TOML in, TOML out."""

from __future__ import annotations

import random
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from syncfsm.core.options import Order
from syncfsm.engine.width import READ_AHEAD_MAX
from syncfsm.errors import ConfigurationError
from syncfsm_simulator.fakes.attio.knobs import LIMIT_MAX, LimitPolicy, Ties
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.faults import KINDS, ChangeRates, Count, FaultRates, Share, Strike
from syncfsm_simulator.stage.incident import Incident
from syncfsm_simulator.world.records import TIED

BAD_DAY = FaultRates(
    rate_limited=0.03, unavailable=0.01, network=0.02, body=0.002, slow=0.02, sink=0.002, crash=0.003
)
"""What goes wrong where a scenario does not say: more than in most weeks, all of it survivable."""

AFTERWARDS = 0.3
"""The share of the seeds whose evidence is thin in which something follows the sync."""

UNSORTED_PAGE_SIZE_MIN = 8
"""Shorter pages may come in order by chance, and no rule can tell."""

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
AtLeastTwo = Annotated[int, msgspec.Meta(ge=2)]  # fewer rows than a page and its peek get nobody anywhere
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]  # virtual time holds for half a year
Sorts = Literal["honoured", "ignored"]
Afterwards = Literal["missing", "webhooks"]
Rates = TypeVar("Rates", FaultRates, ChangeRates)


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One situation to run a sync in.

    Attributes:
        about: What it is, in a sentence.
        seed: The seed where the command names none.
        people: People in the workspace at the start.
        tied: The share of people who share their `created_at` with the one before them.
        page_size: Records in a page.
        order: Which come first.
        read_ahead: The most requests for pages that the sync has under way at once.
        latency_ms: The least and the most that an answer takes.
        reads_per_s: The rate limit of the API.
        limit_max: The most rows that the API gives for one request.
        limit_policy: What it does about a higher limit: `clamp` it in silence, `reject` or `accept` it.
        confirm_end: Whether the sync asks for the row after a short page before it believes in the end.
        sorts: Whether the API honours the order it is asked for, or ignores it in silence.
        score_window_max: The highest sum of the scores of ten seconds. 0 for no limit.
        score_others_per_s: What other apps use up of that, each second.
        updated_at: Whether people have an attribute `updated_at`, which Attio's have not.
        ties: Whether people with one `created_at` come in a fixed order, or `shuffled` at each request.
        swarm: Whether each seed draws its own bad day: up to so many people, up to such a page size, any
            order, some of the faults at rates of its own, and a world anywhere from calm to absurd.
        criteria: Whether to judge the run by the success criteria of the plan, one by one.
        afterwards: What follows the sync: another one that deletes what is `missing`, then changes that
            `webhooks` tell of.
        faulty_s: How long faults and changes last; then everything must finish, without faults.
        finish_s_max: Within how long. Both in virtual seconds.
        faults: How often what goes wrong.
        changes: How the people move meanwhile.
        strikes: What goes wrong besides, one by one; a failing run is written down so.
        incident: What happened to one sync, step by step, out of its log; it alone then says what goes wrong.
    """

    about: str = ""
    seed: Count = 1
    people: Count = 5000
    tied: Share = TIED
    page_size: AtLeastOne = 50
    order: Order = "newest"
    read_ahead: Annotated[int, msgspec.Meta(ge=1, le=READ_AHEAD_MAX)] = 1
    latency_ms: tuple[Milliseconds, Milliseconds] = (80, 400)
    reads_per_s: AtLeastOne = 100
    limit_max: AtLeastTwo = LIMIT_MAX
    limit_policy: LimitPolicy = "clamp"
    confirm_end: bool = False
    sorts: Sorts = "honoured"
    ties: Ties = "ordered"
    score_window_max: Count = 0
    score_others_per_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    updated_at: bool = False
    swarm: bool = False
    criteria: bool = False
    afterwards: tuple[Afterwards, ...] = ()
    faulty_s: Seconds = 1800.0
    finish_s_max: Seconds = 3600.0
    faults: FaultRates = BAD_DAY
    changes: ChangeRates = ChangeRates(created=0.3, updated=1.0, deleted=0.7)
    strikes: tuple[Strike, ...] = ()
    incident: Incident | None = None

    def __post_init__(self) -> None:
        """Refuse what no type can say."""
        if self.latency_ms[0] > self.latency_ms[1]:
            raise ValueError("`latency_ms` is the least, then the most")


_FOLDER = resources.files("syncfsm_simulator") / "scenarios"


def named_scenarios() -> dict[str, Scenario]:
    """Return the scenarios that come with the package, by name."""
    files = sorted(
        (entry for entry in _FOLDER.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name
    )
    return {
        entry.name.removesuffix(".toml"): from_toml(entry.read_text(encoding="utf-8"), entry.name)
        for entry in files
    }


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Return the scenario of that name, or the one in a TOML file.

    Raises:
        ConfigurationError: There is no such name or file, or it says something a scenario does not have.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and path.name == str(name_or_path):
        named = named_scenarios()
        if path.name not in named:
            raise ConfigurationError(
                f"there is no scenario {path.name!r}: choose from {', '.join(named)}, or name a .toml file"
            )
        return named[path.name]
    try:
        return from_toml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigurationError(f"the scenario {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the scenario {path} cannot be used: {error}") from error


def from_toml(text: str, name: str) -> Scenario:
    """Return the scenario that a text says; `name` is what errors call it.

    Raises:
        ConfigurationError: It says something a scenario does not have.
    """
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"the scenario {name} cannot be used: {error}") from error
    unknown = {strike.kind for strike in scenario.strikes} - set(KINDS)
    if unknown:
        raise ConfigurationError(f"the scenario {name} has unknown strikes: {', '.join(sorted(unknown))}")
    return scenario


def to_toml(scenario: Scenario) -> str:
    """Return a scenario as TOML, without what is as by default."""
    return msgspec.toml.encode(scenario).decode()


def concrete(scenario: Scenario, seed: int) -> Scenario:
    """Return the one situation that a seed makes of a scenario; itself, unless it is a swarm."""
    if not scenario.swarm:
        return replace(scenario, seed=seed)
    rng = random.Random(f"{seed}:swarm")
    quirk = rng.choices(("none", "capped", "unsorted", "shuffled"), (80, 10, 2, 8))[0]
    is_capped, is_shuffled = quirk == "capped", quirk == "shuffled"
    is_unsorted = quirk == "unsorted" and scenario.page_size >= UNSORTED_PAGE_SIZE_MIN
    order: Order = "newest" if is_unsorted else rng.choice(("newest", "newest", "oldest", "id"))
    drawn = replace(
        scenario,
        seed=seed,
        swarm=False,
        people=rng.choice((0, 1, rng.randrange(scenario.people + 1), rng.randrange(scenario.people + 1))),
        tied=rng.choice((scenario.tied, scenario.tied, 0.5, 0.9)),
        page_size=rng.randrange(UNSORTED_PAGE_SIZE_MIN if is_unsorted else 1, scenario.page_size + 1),
        order=order,
        limit_max=rng.randrange(2, scenario.page_size + 2) if is_capped else scenario.limit_max,
        confirm_end=is_capped or (rng.random() < 0.1 and not is_shuffled),
        sorts="ignored" if is_unsorted else scenario.sorts,
        ties="shuffled" if is_shuffled else scenario.ties,
        faulty_s=scenario.faulty_s * rng.uniform(0.1, 1),
        faults=_some_of(scenario.faults, rng, seed),
        changes=_some_of(scenario.changes, rng, seed),
        read_ahead=rng.choice((1, 1, 4, 16)),
    )
    return _with_afterwards(drawn, seed)


def _with_afterwards(drawn: Scenario, seed: int) -> Scenario:
    """Return what a seed has drawn with what follows its sync, if its evidence is to be thin."""
    rng = random.Random(f"{seed}:swarm:afterwards")
    if not drawn.faults.evidence or rng.random() > AFTERWARDS:
        return replace(drawn, faults=replace(drawn.faults, evidence=0.0))
    choices: tuple[tuple[Afterwards, ...], ...] = (("missing",), ("webhooks",), ("missing", "webhooks"))
    return replace(drawn, afterwards=rng.choice(choices))


def _some_of(rates: Rates, rng: random.Random, seed: int) -> Rates:
    """Return the rates with about half of them off, and the rest from a quarter to the double.

    A group that was added has a chance of its own, so that the days of today stay what they are.
    """
    together = {fault.group for fault in FAULTS.together}
    drawn = {
        name: _drawn(getattr(rates, name), rng if name in together else random.Random(f"{seed}:swarm:{name}"))
        for name in rates.__struct_fields__
    }
    return replace(rates, **drawn)


def _drawn(rate: float, rng: random.Random) -> float:
    return rate * rng.uniform(0.25, 2) * (rng.random() < 0.55)
