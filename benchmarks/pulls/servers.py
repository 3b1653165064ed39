"""The fake Attio that everybody pulls from, and what makes its days bad.

For what is timed it is `syncfsm serve`, a process of its own. For what is counted it runs within this one,
which does nothing else meanwhile, so that its people can be moved and looked at.
"""

from __future__ import annotations

import math
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from benchmarks.pulls.running import SYNCFSM
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm_simulator.fakes.asgi import App, Receive, Reply, Scope, Send, http_date, send_reply
from syncfsm_simulator.fakes.attio import FakeAttio
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World

QUERY = "/v2/objects/people/records/query"
UNLIMITED = 1_000_000
"""Requests allowed in a second where speed is measured: a loop that heeds no limit would only be refused."""


@contextmanager
def a_server(people: int, *, latency_ms: int = 0, knobs: Sequence[str] = ()) -> Iterator[str]:
    """Yield the URL of a `syncfsm serve` with so many people."""
    command = [SYNCFSM, "serve", "--port", "0"]
    command += ["--people", str(people), "--latency-ms", str(latency_ms), "--rate-limit", str(UNLIMITED)]
    command += [part for knob in knobs for part in ("--set", knob)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Moving:
    """A workspace whose people move before each query but the first.

    Args:
        people: How many there are at the start.
        go: How many go before each query.
        come: How many come.
        seed: Decides who goes.
        latency_s: How long each answer takes.
        limit_max: The most rows for a query; it gives no more, and says nothing.

    Attributes:
        queries: How many queries for people there were.
    """

    def __init__(
        self,
        people: int,
        *,
        go: int = 0,
        come: int = 0,
        seed: int = 1,
        latency_s: float = 0.0,
        limit_max: int = 500,
    ) -> None:
        self.queries = 0
        self._world = World(seed, people=people, now=EPOCH)
        knobs = {"latency_s": latency_s, "limit_max": limit_max, "reads_per_s": UNLIMITED}
        self._app = FakeAttio(self._world, SystemClock(), **knobs)
        self._people = list(self._world.entities("people"))
        self._at_start = frozenset(self._people)
        self._go, self._come = go, come
        self._rng = random.Random(seed)

    @property
    def survivors(self) -> frozenset[str]:
        """Everybody who was there from the first query to the last."""
        return self._at_start & self._world.entities("people").keys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == QUERY:
            if self.queries:
                self._move()
            self.queries += 1
        await self._app(scope, receive, send)

    def _move(self) -> None:
        for _ in range(min(self._go, len(self._people))):
            index = self._rng.randrange(len(self._people))
            self._people[index], self._people[-1] = self._people[-1], self._people[index]
            self._world.delete_person(self._people.pop())
        for _ in range(self._come):
            self._people.append(self._world.create_person(datetime.now(UTC)))


class Refusing:
    """An app that refuses queries for a while: each with a 429 whose `Retry-After` is the same date.

    Args:
        app: What answers otherwise.
        clock: Tells when.
        since: From which query on.
        for_s: For how long at least; the date has whole seconds.

    Attributes:
        early: Queries before the moment named, by somebody who could have known of it.
        came_after_s: How long after that moment the first query came; none did if `None`.
    """

    def __init__(self, app: App, clock: Clock, *, since: int, for_s: float) -> None:
        self.early = 0
        self.came_after_s: float | None = None
        self._app = app
        self._clock = clock
        self._since, self._for = since, timedelta(seconds=for_s)
        self._queries = 0
        self._refused_at: datetime | None = None
        self._until = datetime.min.replace(tzinfo=UTC)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == QUERY and self._is_refused(self._clock.now()):
            headers = {"retry-after": http_date(self._until), "content-type": "application/json"}
            await send_reply(send, Reply(429, _BODY, headers))
            return
        await self._app(scope, receive, send)

    def _is_refused(self, now: datetime) -> bool:
        self._queries += 1
        if self._queries < self._since:
            return False
        if self._refused_at is None:
            self._refused_at = now
            self._until = datetime.fromtimestamp(math.ceil((now + self._for).timestamp()), UTC)
        elif now - self._refused_at > UNDER_WAY and now < self._until:
            self.early += 1
        if now >= self._until and self.came_after_s is None:
            self.came_after_s = (now - self._until).total_seconds()
        return now < self._until


UNDER_WAY = timedelta(seconds=0.5)
"""What comes so soon after the first refusal was sent before it was read: several requests are under way."""

_BODY = b'{"status_code":429,"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Slow down."}'
