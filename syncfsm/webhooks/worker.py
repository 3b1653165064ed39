"""The worker behind the inbox: lets processes see to what waits there, for ever.

What waits is taken by a process in the transaction that begins it, so that a crash anywhere leaves it either
waiting or in a process that is gone on with. While another sync of the object is active, it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

from syncfsm.core.machine import State
from syncfsm.core.notices import KEPT
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.errors import (
    ActiveSync,
    AppendInDoubt,
    BrokenContract,
    LogUnwritable,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.log.patience import patiently
from syncfsm.outside.clock import Clock, SystemClock
from syncfsm.outside.safe_words import raised_words

T = TypeVar("T")

CLEARED_EVERY = timedelta(hours=1)
"""How often the inbox is rid of what was seen to long ago."""

SAID_EVERY = timedelta(minutes=10)
"""How often it is said that the same sync is still in the way."""

IN_A_ROW_MAX = 10
"""Processes that follow each other at once, before others are given room."""

REST_S = 6.0
"""How long that is: longer than `watching.BUSY_S`, after which a sync that found one active looks again."""


class WebhookWorker(Generic[T]):
    """Sees to what waits in the inbox.

    Args:
        make_engine: Makes the engine for a process; closed when that is over. Its transform may remember
            things, which should not outlive a process.
        page_size: Records in a page.
        options: Rules and limits; the source's own if `None`.
        settle_s: How long a notice waits. One change makes several of them, which are seen to at once, and
            the source may tell of a change a moment before its queries show it.
        poll_s: How long until the next look into an inbox that had nothing.
        pause_s: How long to wait after a failure.
        clock: Time; the machine's if `None`.
        on_over: Called with each process that is over.
        on_trouble: Called with what kept a process from beginning or going on. Of another sync in the way,
            once, and again every ten minutes.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine[T]],
        *,
        page_size: int | None = None,
        options: Options | None = None,
        settle_s: float = 2.0,
        poll_s: float = 1.0,
        pause_s: float = 60.0,
        clock: Clock | None = None,
        on_over: Callable[[Process], None] = lambda _process: None,
        on_trouble: Callable[[SyncfsmError], None] = lambda _error: None,
    ) -> None:
        self._make_engine = make_engine
        self._page_size = page_size
        self._options = options
        self._settle = timedelta(seconds=settle_s)
        self._poll_s = poll_s
        self._pause_s = pause_s
        self._clock = clock or SystemClock()
        self._on_over = on_over
        self._on_trouble = on_trouble
        self._engine: Engine[T] | None = None
        self._cleared_at: datetime | None = None
        self._said: tuple[str | None, datetime] | None = None
        self._in_a_row = 0

    async def run(self) -> None:
        """Take turns until the task is cancelled; a process that is under way then goes on next time.

        Raises:
            ConfigurationError: The page size or a limit cannot work.
        """
        try:
            while True:
                await self._clock.sleep(await self.turn())
        finally:
            await self.aclose()

    async def turn(self) -> float:
        """See to what waits, if anything does and nothing is in its way; return the seconds to wait then."""
        try:
            process = await self._process()
        except ActiveSync as busy:
            self._say(busy)
            return self._poll_s
        except (LogUnwritable, AppendInDoubt, VersionConflict) as trouble:
            self._on_trouble(trouble)
            return self._pause_s
        except SyncfsmError:
            raise  # a setting, or a log, that no later turn finds mended
        except Exception as error:  # noqa: BLE001 - a hook's, or that of whoever makes the engine
            self._on_trouble(BrokenContract(raised_words("what a sync is made with", error)))
            return self._pause_s
        self._said = None
        if process is None:
            self._in_a_row = 0
            return self._poll_s
        self._on_over(process)
        return self._rest_s() if process.state is State.COMPLETED else self._pause_s

    def _rest_s(self) -> float:
        """Return the pause after a process, so that one after the other leaves room for other syncs."""
        self._in_a_row = (self._in_a_row + 1) % IN_A_ROW_MAX
        return 0.0 if self._in_a_row else REST_S

    def _say(self, busy: ActiveSync) -> None:
        """Say which sync is in the way: it may have been left behind, and then nobody goes on with it."""
        now = self._clock.now()
        if self._said is None or self._said[0] != busy.process_id or now - self._said[1] >= SAID_EVERY:
            self._said = (busy.process_id, now)
            self._on_trouble(busy)

    async def aclose(self) -> None:
        """Close the engine that is held, if one is."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.aclose()

    async def _process(self) -> Process | None:
        """Run one process to its end; return its last state, or `None` if there was nothing to do."""
        if self._engine is None:
            self._engine = self._make_engine()
        until = self._clock.now() - self._settle
        begin = partial(
            self._engine.take_up_webhooks, page_size=self._page_size, options=self._options, until=until
        )
        await patiently(self._engine.log, self._clock, self._clear_inbox, self._engine)
        begun = await patiently(self._engine.log, self._clock, begin)
        if begun is None:
            return None
        try:
            return await self._engine.run(begun.id)
        finally:
            await self.aclose()

    def _clear_inbox(self, engine: Engine[T]) -> None:
        now = self._clock.now()
        if self._cleared_at is None or now - self._cleared_at >= CLEARED_EVERY:
            engine.log.clear_inbox(now - KEPT)
            self._cleared_at = now
