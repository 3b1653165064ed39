"""Many accounts over one log in virtual time: each with a CRM of its own that takes a while to answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from syncfsm.core.failure import Failure
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.errors import SyncfsmError
from syncfsm.log import EventLog
from syncfsm.sources.protocol import Page
from syncfsm.workers import AccountSync, Engines
from syncfsm_simulator.world.clock import EPOCH, VirtualClock, run_virtual
from tests.crm import Book, Crm, Desk
from tests.fakes import Item

R = TypeVar("R")


class Clock(VirtualClock):
    """Virtual time that goes on from one event loop to the next; the time of day may be set back or ahead."""

    def __init__(self) -> None:
        self.off = timedelta(0)
        self.before_s = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.before_s + self._loop_s()) + self.off

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        async def timed() -> R:
            try:
                return await main
            finally:
                self.before_s += self._loop_s()

        return run_virtual(timed())

    def _loop_s(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0


class Tenant(Desk):
    """The CRM of an account, and the sink that it goes to."""

    def __init__(self, of: Tenants, account: str, people: int, object_: str) -> None:
        super().__init__(of.log)
        self.clock = of.clock  # type: ignore[assignment]
        self.crm = SlowCrm(of, account, object_)
        self.sink = Book()
        self.rng = of.rng
        for _ in range(people):
            self.crm.create()


class SlowCrm(Crm):
    """A CRM that takes a second for each page, and tells how many were asked at once."""

    def __init__(self, of: Tenants, account: str, object_: str) -> None:
        super().__init__(of.clock)  # type: ignore[arg-type]
        self.of = of
        self.account = account
        self.name = self.kind = f"crm@{account}"
        self.object = object_
        self.seconds = 1.0

    async def fetch(self, request: PageRequest) -> Page | Failure:
        self.of.asked.append((self.account, (self.of.clock.now() - EPOCH).total_seconds()))
        self.of.busy[self.account] += 1
        self.of.most = max(self.of.most, self.of.busy.total())
        assert self.of.busy[self.account] == 1, "an account is asked by one engine at a time"
        try:
            await asyncio.sleep(self.seconds)
            return await super().fetch(request)
        finally:
            self.of.busy[self.account] -= 1


class Tenants:
    """The accounts, and what their engines told."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.clock = Clock()
        self.rng = random.Random(1)
        self.busy: Counter[str] = Counter()
        self.asked: list[tuple[str, float]] = []
        self.most = 0
        self.over: list[tuple[str, Process]] = []
        self.troubles: list[tuple[str, SyncfsmError]] = []
        self.syncs: list[AccountSync[Item]] = []

    def add(self, account: str, people: int = 3, *, object_: str = "people", **settings: Any) -> Tenant:
        """Add an account, or one more object of it."""
        tenant = Tenant(self, account, people, object_)
        label = "" if object_ == "people" else object_
        make = settings.pop("make", tenant.engine)
        self.syncs.append(AccountSync(account, make, label=label, **settings))
        return tenant

    def engines(self, **settings: Any) -> Engines[Item]:
        told: dict[str, Any] = {
            "on_turn": lambda sync, process: self.over.append((sync.name, process)),
            "on_trouble": lambda sync, error: self.troubles.append((sync.name, error)),
        }
        return Engines(self.log, self.syncs, clock=self.clock, **(told | settings))

    def run(self, seconds: float, **settings: Any) -> None:
        """Run them for so long, then cancel them as Ctrl-C does."""
        self.during(seconds, self.engines(**settings).run())

    def during(self, seconds: float, doing: Coroutine[Any, Any, None]) -> None:
        async def main() -> None:
            with_end = asyncio.create_task(doing)
            await asyncio.wait([with_end], timeout=seconds)
            if not with_end.done():
                with_end.cancel()
            try:
                await with_end
            except asyncio.CancelledError:
                assert with_end.cancelled()

        self.clock.run(main())

    def once(self, *names: str, **settings: Any) -> None:
        self.clock.run(self.engines(**settings).run_once(names or None))

    def ask(self, question: Callable[[Engines[Item]], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
        return self.clock.run(question(self.engines(**settings)))

    @property
    def done(self) -> list[str]:
        """Which syncs were over, in order."""
        return [name for name, _ in self.over]
