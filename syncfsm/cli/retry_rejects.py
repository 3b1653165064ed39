"""`syncfsm retry-rejects`."""

from __future__ import annotations

import sys
from typing import Any

import click

from syncfsm.cli.shared.file_conflicts import check_sink_file
from syncfsm.cli.shared.options import sync_options
from syncfsm.cli.shared.output import Resumable, print_json, say
from syncfsm.cli.shared.running import leave_if_off, limits, report, run
from syncfsm.core.describe import plural
from syncfsm.core.process import Process
from syncfsm.engine.engine import Engine
from syncfsm.history.rejects import count_without_id, last_with_rejects, rejects_of
from syncfsm.history.replay import find
from syncfsm.items.contact import Contact
from syncfsm.log import open_log


@click.command("retry-rejects", cls=Resumable)
@click.argument("prefix", metavar="[PROCESS]", required=False)
@sync_options
def retry_rejects(*, prefix: str | None, log_path: str, as_json: bool, **asked: Any) -> None:
    """Send the rejected records of a sync again, once what was wrong is mended.

    Asks for these records only, but for those delivered later. PROCESS may be a unique prefix; left out, it
    is the last sync into this sink that is over or has failed and has rejects. Run the same command again
    after a crash, a failure or Ctrl-C: the retry goes on where it stopped.

    \b
    syncfsm retry-rejects --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    leave_if_off(asked["source"], as_json=as_json)
    begin = _Retry(prefix, asked["page_size"], asked["settings"])
    check_sink_file(asked["sink_url"], log_path)
    with open_log(log_path, create=False) as log:
        process = run(log, begin, as_json=as_json, **asked)
    sys.exit(_report(process, begin.without_id, log.path, as_json=as_json))


class _Retry:
    """Begins the retry or goes on with it; knows then how many rejects cannot be sent again."""

    def __init__(self, prefix: str | None, page_size: int, settings: tuple[str, ...]) -> None:
        self._prefix = prefix
        self._page_size = page_size
        self._settings = settings
        self.without_id = 0

    def __call__(self, engine: Engine[Contact]) -> Process | None:
        parent = self._parent(engine)
        if parent is None:
            return None
        self.without_id = count_without_id(rejects_of(engine.log, parent))
        options = limits(engine, engine.processes.unfinished_retry(parent), self._settings)
        return engine.retry_rejects(parent.id, page_size=self._page_size, options=options)

    def _parent(self, engine: Engine[Contact]) -> Process | None:
        if self._prefix is None:
            return last_with_rejects(engine.log, engine.processes.is_ours)
        return engine.log.load(find(engine.log, self._prefix))


def _report(process: Process | None, without_id: int, log_path: str, *, as_json: bool) -> int:
    if without_id:
        what = plural(without_id, "reject has", "rejects have")
        say(f"{what} no record id and cannot be asked for again: a whole sync may bring them", err=True)
    if process is not None:
        return report(process, log_path, as_json=as_json, without_id=without_id)
    if as_json:
        print_json({"process": None, "state": None, "without_id": without_id})
    else:
        say("nothing to retry: no reject with a record id is left that was not delivered later")
    return 0
