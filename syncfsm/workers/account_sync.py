"""One of the syncs of an account: whose engine it takes, what is asked of it, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from syncfsm.core.process import Process
from syncfsm.core.state import Route
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest

T = TypeVar("T")

EVERY_S = 300.0


class AccountSync(Generic[T]):
    """What is synced for an account, again and again.

    No two have the same `name`, which is the account and the label: `acme/people`.

    Args:
        account: Whose it is: what its source is opened with as its `account`.
        make_engine: Makes its engine, for a slice of work; it is closed after that.
        label: What tells it from the account's other syncs: `people`.
        request: What is wanted, or what says so for an engine; by default what is new, after one sync of all.
        every_s: From the beginning of one sync to that of the next.
    """

    def __init__(
        self,
        account: str,
        make_engine: Callable[[], Engine[T]],
        *,
        label: str = "",
        request: SyncRequest | Callable[[Engine[T]], SyncRequest] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.account = account
        self.name = f"{account}/{label}" if label else account
        self.make_engine = make_engine
        self._request = request or SyncRequest(mode="ongoing")
        self.every_s = every_s
        self._route: Route | None = None

    def __repr__(self) -> str:
        """Name it."""
        return f"<AccountSync {self.name}>"

    async def learn(self) -> None:
        """Learn what it brings where; an engine is made for that, once.

        Raises:
            ConfigurationError: None can be made.
        """
        if self._route is None:
            async with self.make_engine() as engine:
                source, sink = engine.source, engine.processes.sink_name
                self._route = Route(source=source.name, object=source.object, sink=sink)

    @property
    def route(self) -> Route:
        """What it brings where, as the log calls it."""
        assert self._route is not None, "it is learned first"
        return self._route

    def taken_up(self, engine: Engine[T]) -> Process:
        """Return the process to go on with, or a new one. An active process keeps its own limits.

        Raises:
            ActiveSync, ConfigurationError: See `Engine.take_up`.
        """
        request = self._request if isinstance(self._request, SyncRequest) else self._request(engine)
        unfinished = engine.to_go_on_with(request.mode)
        is_active = unfinished is not None and unfinished.is_active
        return engine.take_up(request, options=None if is_active else request.options)

    @property
    def is_known(self) -> bool:
        """Whether it has been learned what it brings where."""
        return self._route is not None
