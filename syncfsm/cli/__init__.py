"""The command line: one small module for each command, loaded when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from syncfsm.cli.shared.config_file import held_key
from syncfsm.cli.shared.settings import config_option
from syncfsm.cli.shared.unsaid import nothing_unsaid, remember

INTERRUPTED = 130

_COMMANDS = {
    # name       module, attribute
    "sync": ("sync", "sync"),
    "check": ("check", "check"),
    "watch": ("watch", "watch"),
    "run": ("run", "run"),
    "accounts": ("accounts", "accounts"),
    "resume": ("resume", "resume"),
    "worker": ("worker", "worker"),
    "webhooks": ("webhooks", "webhooks"),
    "retry-rejects": ("retry_rejects", "retry_rejects"),
    "rerun": ("rerun", "rerun"),
    "simulate": ("simulate", "simulate"),
    "serve": ("serve", "serve"),
    "sources": ("sources", "sources"),
    "log": ("log.group", "log"),
    "explain": ("explain", "explain"),
    "top": ("top", "top"),
    "replay": ("replay", "replay"),
    "diff": ("diff", "diff"),
    "report": ("report", "report"),
    "cancel": ("cancel", "cancel"),
    "config": ("config", "config"),
}


class _LazyGroup(click.Group):
    """A group that imports a command's module only when the command is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a key among the arguments before anything repeats them: an error, an event, a file name."""
        remember(ctx, args)
        for variable in filter(None, map(held_key, args)):
            raise click.UsageError(f"an argument holds the key of {variable}: leave it to the variable")
        return super().parse_args(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], *more: Any, **kwargs: Any
    ) -> click.Context:
        """Read the arguments; where they ask for help, whoever reads it may go away."""
        from syncfsm.cli.shared.output import printing  # noqa: PLC0415 - loaded when it is called

        with printing(), nothing_unsaid(None, tuple(args)):
            return super().make_context(info_name, args, *more, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, or print its help; a Ctrl-C while it is being loaded ends it as one later does."""
        try:
            from syncfsm.cli.shared.output import printing  # noqa: PLC0415 - likewise

            with printing(), nothing_unsaid(ctx):
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("error: interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"syncfsm.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _HELP[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


_HELP = {
    "sync": "Sync the people of a CRM, such as Attio, into a sink.",
    "check": "Say what a sync would find and do, and write nothing.",
    "watch": "Sync again and again: all records once, then those that are new.",
    "run": "Run the syncs of all accounts, each whenever it is due.",
    "accounts": "Show how the syncs of all accounts stand.",
    "resume": "Go on now with every sync that failed, for one reason or for any.",
    "worker": "Work on the syncs of all accounts, with other workers on one log in PostgreSQL.",
    "webhooks": "Receive webhooks, and sync the records that they tell of.",
    "retry-rejects": "Send the rejected records of a sync again.",
    "rerun": "Run a captured sync through again, without network or key.",
    "simulate": "Run a sync in virtual time, against a fake Attio, under faults.",
    "serve": "Serve the fake Attio and the fake Quo over HTTP on this machine.",
    "sources": "List the sources and sinks that are installed.",
    "explain": "Say what became of a sync, why, and what to do next.",
    "replay": "Step through a process: what happened, what it changed, what came next.",
    "diff": "Show where two processes part, and why.",
    "report": "Draw a log as one HTML file, for any browser.",
    "top": "Show the running syncs of a log, live.",
    "log": "List, show, follow, verify, back up, export and import event logs.",
    "cancel": "Stop an active sync for good.",
    "config": "Show the settings of a command, and where each comes from.",
}


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="syncfsm")
def main(**_: Any) -> None:
    """Sync CRM records, simulate what can go wrong, replay what did.

    Begin with `check`, which says what `sync` would do. Whatever an option can say, the file syncfsm.toml
    and variables can say too: `config show` tells what is in force. A LOG is a file that `sync` wrote.

    Exit status: 0 all went well; 1 the sync failed; 2 wrong use; 3 a log or an invariant does not hold;
    130 Ctrl-C; 141 whoever read the output went away; 143 SIGTERM. `explain` and `diff` say more with theirs.
    """


main.params.append(config_option())
