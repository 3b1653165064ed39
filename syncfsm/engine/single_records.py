"""Beginning a process that asks for single records: those webhooks told of, or those that were rejected."""

from __future__ import annotations

from datetime import datetime

from syncfsm.core.notices import Waiting
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.engine.processes import Processes
from syncfsm.errors import ConfigurationError
from syncfsm.history.rejects import last_with_rejects, open_ids, rejects_of
from syncfsm.sinks.same_sink import is_same


class SingleRecords:
    """What is asked for by id of one source object, for one sink. See `Engine`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._log = processes.log
        self._source = processes.source
        self._sink = processes.sink
        self._has_webhooks = False

    def take_up_webhooks(
        self, *, page_size: int | None = None, options: Options | None = None, until: datetime | None = None
    ) -> Process | None:
        """Return the process that sees to what waits in the inbox. See `Engine.take_up_webhooks`."""
        self._check_only_sink()
        active = self._processes.active()
        if active is not None and active.mode == "webhook" and self._processes.is_ours(active):
            return self._processes.go_on(active, page_size, None)
        ours = (self._source.name, self._source.object)
        waiting = self._log.waiting(*ours, until=until, now=self._processes.clock.now())
        failed = self._failed_webhooks(waiting)
        if failed is not None:
            return self._processes.go_on(failed, page_size, options)
        if not waiting.record_ids:
            return None
        return self._processes.told_to_wait() or self._processes.begin(
            mode="webhook",
            page_size=page_size,
            order="id",
            options=options,
            record_ids=waiting.record_ids,
            may_be_gone=waiting.gone,
            notices=waiting.notices,
        )

    def _failed_webhooks(self, waiting: Waiting) -> Process | None:
        """Return the process to resume, if what waits is what one failed at, or if nothing waits."""
        if waiting.failed is None:
            return None if waiting.record_ids else self._processes.unfinished("webhook")
        failed = self._log.load(waiting.failed)
        return failed if failed.is_resumable else None

    def _check_only_sink(self) -> None:
        """Refuse a second sink: a notice is seen to once, and each would get what the other left."""
        if self._has_webhooks:
            return
        sink = self._log.webhook_sink(self._source.name, self._source.object)
        if sink is not None and not is_same(sink, self._processes.sink_name):
            raise ConfigurationError(
                f"the webhooks of {self._source.name} {self._source.object} in this log go to {sink}: give "
                f"{self._processes.sink_name} a log of its own, and webhooks of its own"
            )
        self._has_webhooks = sink is not None

    def retry_rejects(
        self, process_id: str | None = None, *, page_size: int | None = None, options: Options | None = None
    ) -> Process | None:
        """Return a process that sends rejected records again. See `Engine.retry_rejects`."""
        parent = self._parent(process_id)
        if parent is None:
            return None
        unfinished = self._processes.unfinished_retry(parent)
        if unfinished is not None:
            return self._processes.go_on(unfinished, page_size, options)
        record_ids = open_ids(rejects_of(self._log, parent))
        if not record_ids:
            return None
        return self._processes.told_to_wait() or self._processes.begin(
            mode="rejects",
            page_size=page_size,
            order="id",
            options=options,
            parent=parent.id,
            record_ids=record_ids,
        )

    def _parent(self, process_id: str | None) -> Process | None:
        """Return the process whose rejects are to be sent again, if there is one."""
        if process_id:
            return self._processes.load(process_id)
        return last_with_rejects(self._log, self._processes.is_ours)
