"""What a stage sets up by its scenario: the fake Attio, the source of it, and a transform that may raise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

import httpx

from syncfsm.core.failure import Failure
from syncfsm.core.options import Options
from syncfsm.outside.clock import Clock
from syncfsm.sources.attio.source import AttioSource
from syncfsm.sources.protocol import Record, Transform, Transformed, check_transform
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.stage.effects.mistakes import TRANSFORM
from syncfsm_simulator.stage.faults import Faults
from syncfsm_simulator.stage.scenario import Scenario
from syncfsm_simulator.world.clock import VirtualClock
from syncfsm_simulator.world.world import World

T = TypeVar("T")

BASE_URL = "http://attio.simulated"
SOURCE = f"attio:{BASE_URL}"
KEY = "planted-key-that-must-not-show"

MERGE_S = 20.0
"""How long nobody can read what two people have been merged into."""


def fake_attio(world: World, clock: VirtualClock, scenario: Scenario) -> FakeAttio:
    """Return the fake Attio that a scenario asks for."""
    return FakeAttio(
        world,
        clock,
        reads_per_s=scenario.reads_per_s,
        limit_policy=scenario.limit_policy,
        limit_max=scenario.limit_max,
        honours_sorts=scenario.sorts == "honoured",
        ties=scenario.ties,
        score_window_max=scenario.score_window_max or None,
        score_others_per_s=scenario.score_others_per_s,
        merge_s=MERGE_S if scenario.afterwards else 0.0,
    )


def attio_source(scenario: Scenario, clock: Clock, transport: httpx.AsyncBaseTransport) -> AttioSource:
    """Return the source that a scenario asks for."""
    return AttioSource(
        KEY,
        base_url=BASE_URL,
        clock=clock,
        transport=transport,
        reads_per_s=max(1, scenario.reads_per_s * 9 // 10),  # as Attio's 100 are taken for 90
        options=Options(
            confirm_end=scenario.confirm_end,
            missing_ratio_max=1.0 if scenario.afterwards else Options().missing_ratio_max,
        ),
        changed_by="updated_at" if scenario.updated_at else None,
    )


class _FaultyTransform(Generic[T]):
    """A transform that may raise; one that can check its source still does."""

    def __init__(self, transform: Transform[T], faults: Faults) -> None:
        self._transform = transform
        self._faults = faults

    async def __call__(self, records: Sequence[Record]) -> Transformed[T] | Failure:
        visit = self._faults.visit(TRANSFORM)
        made: Transformed[T] | Failure = await visit.perform(partial(self._transform, records))
        return made

    async def check_source(self, *, tries_look_ups: bool = False) -> Failure | None:
        """See `CheckingTransform`."""
        return await check_transform(self._transform, tries_look_ups=tries_look_ups)


def faulty_transform(transform: Transform[T], faults: Faults) -> Transform[T]:
    """Return a transform that may raise."""
    return _FaultyTransform(transform, faults)
