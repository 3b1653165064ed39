"""`syncfsm rerun`."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import click

from syncfsm.cli.shared.file_conflicts import check_sink_file, is_same_log
from syncfsm.cli.shared.naming import LIMIT
from syncfsm.cli.shared.options import LIMITS_HELP
from syncfsm.cli.shared.output import Command, json_option
from syncfsm.cli.shared.running import Show, report
from syncfsm.core.limits import with_limits
from syncfsm.core.options import Options
from syncfsm.core.process import Process
from syncfsm.errors import ConfigurationError
from syncfsm.history.replay import find
from syncfsm.log import EventLog, open_log
from syncfsm.sinks import open_sink
from syncfsm.sources.attio.people import AttioPeople


@click.command(cls=Command)
@click.argument("captured_path", metavar="LOG")
@click.argument("prefix", metavar="[PROCESS]", required=False)
@click.option("--sink", "sink_url", required=True, metavar="URL", help="sqlite:FILE or jsonl:FILE.")
@click.option("--log", "log_path", default="rerun.db", show_default=True, help="The re-run's event log.")
@click.option("--companies/--no-companies", default=True, help="Give the names of companies.")
@click.option("--set", "settings", multiple=True, metavar=LIMIT, help=LIMITS_HELP)
@click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr.")
@json_option
def rerun(
    *,
    captured_path: str,
    prefix: str | None,
    sink_url: str,
    log_path: str,
    companies: bool,
    settings: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Run a captured sync through again, from LOG alone, without network or key.

    The same pages come in the same order, through the transform of today, into a sink of their own. PROCESS
    may be a unique prefix; left out, it is the last one that was captured. A re-run begins anew each time.

    \b
    syncfsm sync --source attio --sink sqlite:contacts.db --log sync.db --capture
    syncfsm rerun sync.db --sink sqlite:again.db
    """  # noqa: D301 - \b keeps click from wrapping the example
    from syncfsm.engine.rerun import rerun as run_again  # noqa: PLC0415 - it loads the HTTP client

    check_sink_file(sink_url, captured_path, log_path)
    if is_same_log(captured_path, log_path):
        raise ConfigurationError("a re-run has a log of its own: name another with --log")
    show = Show("", verbose=verbose, is_live=not as_json and not verbose and sys.stderr.isatty())
    try:
        with open_log(captured_path, read_only=True) as captured, open_log(log_path) as log:
            meant = captured.load(_meant(captured, prefix))
            process = asyncio.run(
                run_again(
                    captured,
                    meant.id,
                    log,
                    open_sink(sink_url),
                    partial(AttioPeople, companies=companies),
                    options=_options(meant, settings),
                    hooks=[show],
                )
            )
    finally:
        show.close()
    sys.exit(report(process, log.path, as_json=as_json))


def _meant(log: EventLog, prefix: str | None) -> str:
    if prefix is not None:
        return find(log, prefix)
    captured = log.capture_counts()
    ids = [process_id for process_id in log.ids() if process_id in captured]
    if not ids:
        raise ConfigurationError(
            f"nothing in {log.path} was captured: `syncfsm sync --capture` keeps what comes"
        )
    return ids[-1]


def _options(process: Process, settings: tuple[str, ...]) -> Options | None:
    return with_limits(process.options, settings) if settings else None
