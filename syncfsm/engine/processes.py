"""The processes of one source object and one sink: which there are, beginning one, going on, ending it.

Everything here reads the log or appends to it, and returns at once; doing what a process asks for is the
engine's loop. What is begun when: `syncs.py` and `single_records.py`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from syncfsm.core import events as e
from syncfsm.core.backoff import later
from syncfsm.core.capture import Recordable, Recorder
from syncfsm.core.limits import check_rules
from syncfsm.core.options import Options, Order
from syncfsm.core.process import Process
from syncfsm.core.starts import best_page_size, put_off_s, resumed, started
from syncfsm.engine import commit as c
from syncfsm.errors import ConfigurationError
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.log.protocol import EventLog
from syncfsm.outside.clock import Clock
from syncfsm.sinks.protocol import Sink
from syncfsm.sources.protocol import SAYS, Source


class Processes:
    """What there is for one source object and one sink, by one log. See `Engine` for the arguments."""

    def __init__(
        self,
        log: EventLog,
        source: Source,
        sink: Sink[Any],
        *,
        clock: Clock,
        rng: random.Random,
        hooks: Sequence[c.Hook],
        meta: Mapping[str, str],
        capture: bool,
    ) -> None:
        _check_says(source)
        self.log = log
        self.source = source
        self.sink = sink
        self.marks = SinkMarks(log, source, sink)
        self.clock = clock
        self._rng = rng
        self._hooks = hooks
        self._meta = dict(meta)
        self._recorder = _recorder(source) if capture else None

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    @property
    def sink_name(self) -> str:
        """What the log calls the sink. See `SinkMarks.name`."""
        return self.marks.name

    def active(self) -> Process | None:
        """Return the active process of the source object, if there is one."""
        return self.log.active(self.source.name, self.source.object)

    def unfinished(self, mode: e.Mode = "initial") -> Process | None:
        """Return the process to go on with. See `Engine.unfinished`."""
        process = self.marks.last_begun((mode,))
        return process if process and (process.is_active or process.is_resumable) else None

    def unfinished_retry(self, parent: Process) -> Process | None:
        """Return the unfinished retry of a process's rejects, or the process itself if it is one."""
        retry = self.unfinished("rejects")
        return retry if retry and parent.id in {retry.id, retry.parent} else None

    def last_sync_time(self) -> datetime | None:
        """Return the watermark at which an ongoing sync takes up: what was there by then, the sink has."""
        return self.marks.last_sync_time()

    def told_to_wait(self) -> Process | None:
        """Return the process that began last, if it failed and nobody may ask yet.

        Another one would ask the same source, or write to the same sink.
        """
        last = self.marks.last_begun(get_args(e.Mode))
        return last if last and put_off_s(last, self.clock.now()) else None

    def is_ours(self, process: Process) -> bool:
        """Whether a process is one of this source object and sink."""
        ours = (self.source.name, self.source.object, self.sink_name)
        return (process.source, process.object, process.sink) == ours

    def order_or_preferred(self, order: Order | None) -> Order:
        """Return an order, or the one that the source prefers."""
        return order or self.source.orders[0]

    def best_page_size(self, options: Options | None = None, *, is_by_ids: bool = False) -> int:
        """Return the records in a page that both sides take best, by what they say of themselves.

        To a source that is asked for records by their ids, it is no matter.
        """
        sides = (self.sink,) if is_by_ids else (self.source, self.sink)
        said = (getattr(side, "best_page_size", None) for side in sides)
        return best_page_size(said, options or self.source.options)

    # ── beginning, going on, ending ──────────────────────────────────────────────────────────

    def begin_like(self, started: e.SyncStarted, options: Options) -> Process:
        """Record the start of a process that asks for what another asked for; see `rerun`.

        It deletes nothing as missing; whoever a webhook told of and is gone, it deletes as the other did.
        """
        return self.begin(
            mode=started.mode,
            page_size=started.page_size,
            order=started.order,
            options=options,
            parent=started.parent,
            record_ids=started.record_ids,
            since=started.since,
            changed_by=started.changed_by,
            may_be_gone=started.may_be_gone,
        )

    def begin(
        self,
        *,
        page_size: int | None,
        order: Order | None,
        options: Options | None,
        notices: Sequence[int] = (),
        **wanted: Any,
    ) -> Process:
        """Record the start of a process; `wanted` as in `started`, and `notices` are what it takes.

        Raises:
            ActiveSync: One is active for the same source object.
            ConfigurationError: The page size or a limit cannot work, or the order is not the source's.
        """
        order = self.order_or_preferred(order)
        if options is not None:
            check_rules(options, self.source.options, "source")
        is_by_ids = bool(wanted.get("record_ids"))
        if not is_by_ids:  # else they come in any order
            _check_order(self.source, order)
        event = started(
            source=self.source.name,
            object_=self.source.object,
            sink=self.sink_name,
            page_size=self.best_page_size(options, is_by_ids=is_by_ids) if page_size is None else page_size,
            order=order,
            options=options or self.source.options,
            **wanted,
        )
        return self.commit(None, f"{self._rng.getrandbits(48):012x}", (event,), notices)

    def resume(
        self,
        process_id: str,
        *,
        page_size: int | None = None,
        options: Options | None = None,
        by: str = "engine",
        why: str = "",
        asks_now: bool = False,
    ) -> Process:
        """Record that a failed process goes on. See `Engine.resume`."""
        process = self.load(process_id)
        now = self.clock.now()
        left_s = 0.0 if asks_now else put_off_s(process, now)
        retry_at = later(now, left_s) if left_s else None
        event = resumed(process, page_size=page_size, options=options, by=by, why=why, retry_at=retry_at)
        return self.commit(process, process.id, (event,))

    def go_on(self, process: Process, page_size: int | None, options: Options | None) -> Process:
        """Return an unfinished process, resumed if it has failed, with what has changed.

        It stays as it is where nobody may ask for longer than one of its waits may be.
        """
        changed = options if options != process.options else None
        if put_off_s(process, self.clock.now()) > (options or process.options).wait_s_max:
            return process
        if not process.is_active:
            size = page_size if page_size != process.page_size else None  # which is none if none is asked for
            return self.resume(process.id, page_size=size, options=changed, why="run again")
        if changed is not None:
            raise ConfigurationError(
                f"process {process.id} is active, and only one that has failed can go on with other limits: "
                f"go on with its own, or start anew"
            )
        return process

    def cancel(self, process_id: str, *, by: str = "engine", why: str = "") -> Process:
        """Stop an active process for good. See `commit.cancel`."""
        return c.cancel(self.log, process_id, by=by, why=why, clock=self.clock, hooks=self._hooks)

    def load(self, process_id: str) -> Process:
        """Return a process, if it is one for this source object and sink."""
        process = self.log.load(process_id)
        if not self.is_ours(process):
            raise ConfigurationError(
                f"process {process_id} syncs {process.source} {process.object} into {process.sink}, "
                f"but this engine {self.source.name} {self.source.object} into {self.sink_name}"
            )
        return process

    def commit(
        self,
        process: Process | None,
        process_id: str,
        events: Sequence[e.Event],
        notices: Sequence[int] = (),
    ) -> Process:
        """Record events of a process, with what was captured. See `commit.commit`."""
        return c.commit(
            self.log,
            process,
            process_id,
            events,
            at=self.clock.now(),
            meta=self._meta,
            hooks=self._hooks,
            recorder=self._recorder,
            notices=notices,
        )


def _check_says(source: Source) -> None:
    """Refuse a source that does not say all of itself that it should: what is guessed could be wrong."""
    unsaid = [name for name in SAYS if not hasattr(source, name)]
    if unsaid:
        raise ConfigurationError(
            f"the source {type(source).__name__} does not say its {', '.join(unsaid)}: "
            "see `syncfsm.sources.Source`"
        )


def _check_order(source: Source, order: Order) -> None:
    if order not in source.orders:
        others = " or ".join(source.orders)
        raise ConfigurationError(
            f"{source.name} cannot give its records in the order {order!r}: choose {others}"
        )


def _recorder(source: Source) -> Recorder:
    if not isinstance(source, Recordable):
        raise ConfigurationError(f"the source {source.name} cannot be captured: it has no method `record`")
    return source.record()
