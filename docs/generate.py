"""The parts of the docs that are computed from the code, so that they cannot disagree with it."""

from __future__ import annotations

import re

import click
import msgspec

from simulator.invariants import INVARIANTS
from syncfsm.cli import main
from syncfsm.events import EVENT_TYPES
from syncfsm.machine import TRANSITIONS, State


def state_diagram() -> str:
    """Return the table of transitions as a Mermaid diagram; moves that stay in a state are left out."""
    edges: dict[tuple[State, State], list[str]] = {}
    for trigger, source, dest in TRANSITIONS:
        if source is not dest:
            edges.setdefault((source, dest), []).append(trigger)
    lines = [
        f"    {_node(source)} --> {dest}: {', '.join(triggers)}" for (source, dest), triggers in edges.items()
    ]
    finals = [state for state in State if state not in {source for _, source, _ in TRANSITIONS}]
    lines += [f"    {state} --> [*]" for state in finals]
    return "\n```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n\n"


def _node(state: State) -> str:
    return "[*]" if state is State.NONE else state.value


def event_table() -> str:
    """Return one row for each event: what it means, where it may come, what it carries."""
    rows = ["\n| event | what happened | legal in | carries |", "|---|---|---|---|"]
    for name, cls in EVENT_TYPES.items():
        meaning = (cls.__doc__ or "").strip().splitlines()[0]
        sources = ", ".join(dict.fromkeys(row[1].value for row in TRANSITIONS if row[0] == name))
        rows.append(f"| {name} | {meaning} | {sources} | {', '.join(cls.__struct_fields__)} |")
    return "\n".join(rows) + "\n\n"


def settings(cls: type[msgspec.Struct]) -> str:
    """Return every field of a struct of settings with its default and its meaning."""
    rows = ["\n| name | default | meaning |", "|---|---|---|"]
    meanings = _attributes(cls.__doc__ or "")
    for name, default in msgspec.to_builtins(cls()).items():
        shown = f"see [{name}]" if isinstance(default, dict) else default
        rows.append(f"| {name} | {shown} | {meanings[name]} |")
    return "\n".join(rows) + "\n\n"


def invariants() -> str:
    """Return every invariant with what it means."""
    rows = ["\n| invariant | what it means |", "|---|---|"]
    rows += [f"| {check.__name__} | {(check.__doc__ or '').strip()} |" for check in INVARIANTS]
    return "\n".join(rows) + "\n\n"


def _attributes(doc: str) -> dict[str, str]:
    """Return what a docstring's `Attributes:` section says of each name."""
    section = doc.partition("Attributes:")[2]
    entries = re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def cli_reference() -> str:
    """Return the help of every command."""
    parts = []
    for path, command in _commands("syncfsm", main):
        context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n" + "\n".join(parts) + "\n"


def _commands(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, f"{name} is listed, so it is there"
            found += _commands(f"{path} {name}", child)
    return found
