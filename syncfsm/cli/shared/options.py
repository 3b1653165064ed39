"""The options that the commands share which run syncs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import click

from syncfsm.cli.shared.naming import LIMIT
from syncfsm.cli.shared.output import json_option
from syncfsm.cli.shared.quo import quo_options
from syncfsm.cli.shared.settings import account_option
from syncfsm.core.limits import LIMITS
from syncfsm.core.options import Order
from syncfsm.core.starts import PAGE_SIZE
from syncfsm.engine.width import READ_AHEAD_MAX, ReadAheadMax
from syncfsm.sources.attio.source import BASE_URL, LIMIT_MAX

LIMITS_HELP = f"Set a limit; may be given more than once. The limits: {', '.join(LIMITS)}."


class ReadAheadType(click.ParamType[ReadAheadMax]):
    """A number of requests, or `auto`."""

    name = "whole number or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ReadAheadMax:
        """Return what was given, if it can work."""
        if value == "auto":
            return "auto"
        return click.IntRange(1, READ_AHEAD_MAX).convert(value, param, ctx)


F = TypeVar("F", bound=Callable[..., Any])

without_option = click.option(
    "--without",
    multiple=True,
    metavar="ATTRIBUTE",
    help="Leave an attribute alone, such as job_title: the sink keeps what it has. May be given again.",
)

log_option = click.option(
    "--log",
    "log_path",
    default="sync.db",
    show_default=True,
    help="The file for what happens: the event log.",
)
metrics_option = click.option(
    "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus there while it runs: 9464."
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Write every event to stderr.")
json_lines_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON Lines: one object for each sync that is over."
)

_OPTIONS = (
    account_option(),
    click.option(
        "--source",
        required=True,
        metavar="NAME",
        help="Where records come from: attio, axiscare, or what `syncfsm sources` lists besides.",
    ),
    click.option(
        "--base-url", metavar="URL", help=f"Where the API is.  [default: for attio, {BASE_URL}]", default=None
    ),
    click.option(
        "--object",
        "object_",
        metavar="NAME",
        default=None,
        help="Which object's records, by slug.  [default: for attio, people]",
    ),
    click.option(
        "--sink",
        "sink_url",
        required=True,
        metavar="URL",
        help="sqlite:FILE, jsonl:FILE, postgresql://…, quo:, or what `syncfsm sources` lists besides.",
    ),
    *quo_options,
    click.option(
        "--key-variable",
        metavar="VARIABLE",
        help="What holds the key of the source, where that is not the usual variable.",
    ),
    click.option(
        "--sink-key-variable",
        metavar="VARIABLE",
        help="What holds the key of the sink, where that is not the usual variable.",
    ),
    log_option,
    click.option(
        "--page-size",
        default=None,
        type=click.IntRange(min=1),
        help=f"Records a page.  [default: what source and sink take best: {LIMIT_MAX - 1} from attio, "
        f"{PAGE_SIZE} into quo without --quo-bulk; {PAGE_SIZE} if neither says]",
    ),
    click.option(
        "--companies/--no-companies", default=True, show_default=True, help="Look up the names of companies."
    ),
    without_option,
    click.option("--set", "settings", multiple=True, metavar=LIMIT, help=LIMITS_HELP),
    metrics_option,
    click.option(
        "--capture", is_flag=True, help="Keep what comes in the log, for rerun. It holds personal data."
    ),
    click.option(
        "--read-ahead",
        default="auto",
        show_default=True,
        type=ReadAheadType(),
        metavar="N|auto",
        help="The most requests for pages under way at once: 1 for one after the other, auto for as many "
        "as the source's rate and its latency ask for.",
    ),
    verbose_option,
)


order_option = click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default=None,
    help="Which records come first.  [default: the first that the source has; for attio, newest]",
)
changed_by_option = click.option(
    "--changed-by", metavar="SLUG", help="The attribute that says when a record changed, for ongoing syncs."
)


def sync_options(command: F) -> F:
    """Give a command the options of everything that runs a sync."""
    return with_options(command, (*_OPTIONS, json_option))


def service_options(command: F) -> F:
    """Give a command the options of everything that runs syncs for ever."""
    return with_options(command, (*_OPTIONS, json_lines_option))


def with_options(command: F, options: Sequence[Callable[[F], F]]) -> F:
    """Give a command options, in their order."""
    for option in reversed(options):
        command = option(command)
    return command
