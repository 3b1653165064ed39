"""One of the syncs of an account: whose engine it takes, what is asked of it, and how often."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from syncfsm.core.process import Process
from syncfsm.core.source_name import account_of, checked_account
from syncfsm.core.state import Route
from syncfsm.engine.engine import Engine
from syncfsm.engine.requests import SyncRequest, with_own_limits
from syncfsm.errors import ConfigurationError

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

    Raises:
        ConfigurationError: No account can be called so, or there would be no pause.
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
        self.account = checked_account(account)
        self.name = f"{account}/{label}" if label else account
        if not every_s > 0:
            raise ConfigurationError(f"{self.name}: every_s={every_s} leaves no pause: choose more than 0")
        self._make_engine = make_engine
        self._request = request or SyncRequest(mode="ongoing")
        self.every_s = every_s
        self.route: Route | None = None
        """What it brings where, as the log calls it: as the last engine had it; null until there was one."""

    def __repr__(self) -> str:
        """Name it."""
        return f"<AccountSync {self.name}>"

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine[T]]:
        """Yield an engine of its own, and learn what it brings where: a sink that is replaced is another.

        Raises:
            ConfigurationError: None can be made, or its source is another account's.
        """
        async with self._make_engine() as engine:
            self._check_account(engine.source.name)
            source, sink = engine.source, engine.processes.sink_name
            self.route = Route(source=source.name, object=source.object, sink=sink)
            yield engine

    def _check_account(self, source: str) -> None:
        if account_of(source) != self.account:
            raise ConfigurationError(
                f"the sync {self.name} has the source {source}, which is not of its account: open that with "
                f"account={self.account!r}"
            )

    def taken_up(self, engine: Engine[T]) -> Process:
        """Return the process to go on with, or a new one.

        Raises:
            ActiveSync, ConfigurationError: See `Engine.take_up`.
        """
        request = self._wanted(engine)
        return engine.take_up(with_own_limits(request, engine.to_go_on_with(request.mode)))

    def rejects_taken_up(self, engine: Engine[T]) -> Process | None:
        """Return the process that sends rejected records again; `None` where there are none.

        Raises:
            ActiveSync, ConfigurationError: See `Engine.retry_rejects`.
        """
        request = with_own_limits(self._wanted(engine), engine.unfinished("rejects"))
        return engine.retry_rejects(page_size=request.page_size, options=request.options)

    def _wanted(self, engine: Engine[T]) -> SyncRequest:
        return self._request if isinstance(self._request, SyncRequest) else self._request(engine)
