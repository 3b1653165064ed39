"""A world that moves by itself while it is served: people come, change and go, so many a second."""

from __future__ import annotations

import asyncio
import random

from syncfsm.outside.clock import Clock
from syncfsm_simulator.fakes.asgi import App, Receive, Scope, Send
from syncfsm_simulator.world.world import World

_ODDS = {"create": 3, "update": 5, "delete": 2}


class Moving:
    """An app whose world moves from its first request on.

    Args:
        app: What answers.
        world: Whose people move.
        clock: Paces them.
        per_s: Changes a second, more than 0.
        seed: Decides who comes, changes and goes.
    """

    def __init__(self, app: App, world: World, clock: Clock, *, per_s: float, seed: int) -> None:
        self._app = app
        self._world = world
        self._clock = clock
        self._wait_s = 1 / per_s
        self._rng = random.Random(f"{seed}:moving")
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._move_on())
        await self._app(scope, receive, send)

    async def _move_on(self) -> None:
        while True:
            await self._clock.sleep(self._wait_s)
            self._move()

    def _move(self) -> None:
        people, now = list(self._world.entities("people")), self._clock.now()
        (what,) = self._rng.choices(list(_ODDS), list(_ODDS.values()))
        if what == "create" or not people:
            self._world.create_person(now)
        elif what == "update":
            self._world.update_person(self._rng.choice(people), now)
        else:
            self._world.delete_person(self._rng.choice(people))
