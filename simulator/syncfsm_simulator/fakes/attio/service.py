"""What the handlers of routes work with: the world, and what the fake keeps beside it."""

from __future__ import annotations

import random
from datetime import datetime

from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.knobs import Knobs
from syncfsm_simulator.fakes.attio.lag import Lag
from syncfsm_simulator.fakes.attio.query import Query
from syncfsm_simulator.fakes.attio.rates import ScoreLimit
from syncfsm_simulator.fakes.attio.webhooks import Webhooks
from syncfsm_simulator.fakes.attio.writing import UniqueIndex
from syncfsm_simulator.world.entity import Actor
from syncfsm_simulator.world.population import uuid
from syncfsm_simulator.world.schema import ObjectType
from syncfsm_simulator.world.world import World


class Service:
    """A workspace as it is served.

    Args:
        world: Where the records are.
        clock: For dates and for the score.
        knobs: How it behaves.

    Attributes:
        actor: Who writes through the API, as records and webhooks tell it.
        query: What finds records.
        unique: Who has which value that only one may have.
        lag: What is not to be read yet.
        webhooks: Who wants to be told of what.
    """

    def __init__(self, world: World, clock: Clock, knobs: Knobs) -> None:
        self.world = world
        self.knobs = knobs
        self.actor: Actor = {"type": "api-token", "id": uuid(random.Random(f"{world.workspace_id}:token"))}
        self.query = Query(world, knobs)
        self.unique = UniqueIndex(world)
        self.lag = Lag(world, clock, merge_s=knobs.merge_s, index_lag_s=knobs.index_lag_s)
        self.webhooks = Webhooks(world.workspace_id)
        self._clock = clock
        self._rng = random.Random(f"{world.workspace_id}:write conflicts")
        self._scores = ScoreLimit(knobs.score_query_max, knobs.score_window_max, knobs.score_others_per_s)

    def now(self) -> datetime:
        """Return the present moment, UTC."""
        return self._clock.now()

    def charge(self, score: int) -> None:
        """Count what a query costs.

        Raises:
            ApiError: A 429: it is too much.
        """
        if (retry_at := self._scores.refuse(score, self._clock.now())) is not None:
            raise errors.RateLimited(retry_at)

    def meet_no_other_write(self) -> None:
        """Let a write of a record go on, unless it meets another one.

        Raises:
            ApiError: A 409: it does.
        """
        if self.knobs.write_conflicts and self._rng.random() < self.knobs.write_conflicts:
            raise errors.write_conflict()

    def knows(self, token: str) -> bool:
        """Whether a token is one that this workspace gave out."""
        return self.knobs.api_key in {None, token}

    def object_type(self, name: str) -> ObjectType:
        """Return an object by slug or id.

        Raises:
            ApiError: A 404, as Attio would answer.
        """
        for slug, object_id in self.world.object_ids.items():
            if name in {slug, object_id}:
                return self.world.objects[slug]
        raise errors.not_found(f'Object with slug/ID "{name}" not found.')
