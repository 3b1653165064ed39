"""Hypothesis strategies for property tests of your own: worlds, faults, scenarios."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

from syncfsm_simulator.stage.faults import KINDS, ChangeRates, FaultRates, Strike
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World

Rates = TypeVar("Rates", FaultRates, ChangeRates)


def seeds() -> st.SearchStrategy[int]:
    """Seeds; they do not shrink to anything simpler, so a small range serves."""
    return st.integers(0, 2**16)


def worlds(people_max: int = 60) -> st.SearchStrategy[World]:
    """Workspaces with up to so many people."""
    return st.builds(
        lambda seed, people: World(seed, people=people, now=EPOCH), seeds(), st.integers(0, people_max)
    )


def fault_rates(rate_max: float = 0.1) -> st.SearchStrategy[FaultRates]:
    """What goes wrong: any of the groups, each at up to such a rate; shrinks to nothing."""
    return _rates(FaultRates, rate_max)


def change_rates(rate_max: float = 3.0) -> st.SearchStrategy[ChangeRates]:
    """How the people move before each request; shrinks to standing still."""
    return _rates(ChangeRates, rate_max)


def _rates(cls: type[Rates], rate_max: float) -> st.SearchStrategy[Rates]:
    names = st.sampled_from(cls.__struct_fields__)
    some = st.dictionaries(names, st.floats(0, rate_max).map(lambda rate: round(rate, 3)), max_size=4)
    return some.map(lambda rates: cls(**rates))


def strikes(at_max: int = 40) -> st.SearchStrategy[tuple[Strike, ...]]:
    """Single things that go wrong, at one of the first visits to their port; shrinks to none."""
    one = st.builds(Strike, kind=st.sampled_from(KINDS), at=st.integers(0, at_max))
    return st.lists(one, max_size=6).map(tuple)


def scenarios(people_max: int = 60, page_size_max: int = 20, **settings: Any) -> st.SearchStrategy[Scenario]:
    """Scenarios with everything drawn that `settings` does not fix: `scenarios(order="id")`."""
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "seed": seeds(),
        "people": st.integers(0, people_max),
        "page_size": st.integers(1, page_size_max),
        "order": st.sampled_from(("newest", "oldest", "id")),
        "faults": fault_rates(),
        "changes": change_rates(),
        "strikes": strikes(),
        "faulty_s": st.just(60.0),
    }
    fixed = {name: st.just(value) for name, value in settings.items()}
    assert settings.keys() <= set(Scenario.__struct_fields__), "a scenario has no such setting"
    return st.fixed_dictionaries(drawn | fixed).map(lambda values: Scenario(**values))
