"""`syncfsm sync`."""

from __future__ import annotations

import sys
from typing import Any

import click

from syncfsm.cli.shared.beginning import beginning, beginning_options
from syncfsm.cli.shared.file_conflicts import check_sink_file
from syncfsm.cli.shared.options import sync_options
from syncfsm.cli.shared.output import Resumable
from syncfsm.cli.shared.running import leave_if_off, report, run
from syncfsm.log import open_log


@click.command(cls=Resumable)
@sync_options
@beginning_options
def sync(*, log_path: str, as_json: bool, **asked: Any) -> None:
    """Sync the people of a CRM into a sink.

    The CRM is Attio, AxisCare, or what `syncfsm sources` lists besides; its key comes from a variable:
    ATTIO_API_KEY, AXISCARE_API_KEY. Run the same command again after a crash, a failure, Ctrl-C or SIGTERM:
    the sync goes on where it stopped. `syncfsm check` says beforehand what it would do, docs/modes.md what
    each mode promises.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    leave_if_off(asked["source"], as_json=as_json)
    check_sink_file(asked["sink_url"], log_path)
    with open_log(log_path) as log:
        process = run(log, beginning(**asked), as_json=as_json, **asked)
    assert process is not None, "a sync always has something to do"
    sys.exit(report(process, log.path, as_json=as_json))
