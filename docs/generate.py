"""The parts of the docs that are computed from the code, so that they cannot disagree with it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import click
import msgspec

from syncfsm.cli import main
from syncfsm.cli.shared.naming import is_shared, options_of, variable_of
from syncfsm.cli.shared.options import ReadAheadType
from syncfsm.core.events import EVENT_TYPES
from syncfsm.core.machine import TRANSITIONS, State
from syncfsm.telemetry import opentelemetry, prometheus
from syncfsm.telemetry.measures import METRICS
from syncfsm.telemetry.tracing import ATTRIBUTES, SPANS
from syncfsm_simulator.fakes.attio.routes import ROUTES
from syncfsm_simulator.runs.invariants import Check
from syncfsm_simulator.stage.fault_table import FAULTS
from syncfsm_simulator.stage.faults import MOVES
from syncfsm_simulator.stage.scenario import named_scenarios

ROOT = Path(__file__).parents[1]


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


def rooms() -> str:
    """Return the rooms by the import contracts: each house as a diagram, and what its rooms are for."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    houses = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return "".join(_house(layers) for layers in houses if "." in layers[0])  # others are within a room


def _house(layers: Sequence[str]) -> str:
    """Return the floors of one house, from the roof down: what stands above may import what is below."""
    floors = [[name.strip() for name in re.split("[:|]", layer)] for layer in layers]
    boxes = [" · ".join(name.partition(".")[2] for name in floor) for floor in floors]
    drawn = " --> ".join(f'{index}["{box}"]' for index, box in enumerate(boxes))
    rows = [f"| {name} | {_purpose(name)} |" for floor in floors for name in floor]
    return "\n".join(["\n```mermaid", "flowchart TD", f"    {drawn}", "```\n", *_HEAD, *rows]) + "\n\n"


_HEAD = ("| room | what it is for |", "|---|---|")


def files() -> str:
    """Return every file of both packages, room by room, with the first sentence of its docstring."""
    packages = (ROOT / "syncfsm", ROOT / "simulator/syncfsm_simulator")
    doors = [door for package in packages for door in sorted(package.rglob("__init__.py"))]
    return "".join(_room(door.parent) for door in doors) + "\n"


def _room(folder: Path) -> str:
    """Return the files of one room."""
    about = _sentence(folder / "__init__.py")
    rows = [f"| {path.name} | {_sentence(path)} |" for path in sorted(folder.glob("[!_]*.py"))]
    head = [f"\n## {folder.relative_to(ROOT)}/\n", about]
    return "\n".join([*head, "\n| file | what it is for |", "|---|---|", *rows] if rows else head) + "\n"


def _sentence(path: Path) -> str:
    """Return the first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def _purpose(name: str) -> str:
    """Return the first line of a room's docstring."""
    return (import_module(name).__doc__ or "").strip().splitlines()[0]


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
    instance = cls()
    for name in cls.__struct_fields__:
        default = getattr(instance, name)
        shown = f"see [{name}]" if isinstance(default, msgspec.Struct) else _shown(default)
        rows.append(f"| {name} | {shown} | {meanings[name]} |")
    return "\n".join(rows) + "\n\n"


def meanings(cls: type[msgspec.Struct]) -> str:
    """Return every field of a struct with its meaning, where most have no default worth naming."""
    known = _attributes(cls.__doc__ or "")
    rows = [f"| {name} | {known[name]} |" for name in cls.__struct_fields__]
    return "\n".join(["\n| name | meaning |", "|---|---|", *rows]) + "\n\n"


def _shown(default: object) -> object:
    """Return a default as a table shows it."""
    if isinstance(default, frozenset):
        return ", ".join(sorted(default))
    return "none" if default is None else default if default != "" else "(empty)"


def routes() -> str:
    """Return every route of the fake Attio, and the scopes that its token needs."""
    rows = ["\n| request | what it does | scopes |", "|---|---|---|"]
    rows += [
        f"| `{route.method} {route.name}` | {route.about} | {', '.join(route.scopes) or 'none'} |"
        for route in ROUTES
    ]
    return "\n".join(rows) + "\n\n"


def bullets(reasons: Mapping[str, str]) -> str:
    """Return named reasons as a list."""
    return "\n" + "".join(f"- {name}: {reason}\n" for name, reason in reasons.items()) + "\n"


def invariants(checks: Sequence[Check]) -> str:
    """Return every check with what it means."""
    rows = ["\n| name | what it means |", "|---|---|"]
    rows += [f"| {check.__name__} | {(check.__doc__ or '').strip()} |" for check in checks]
    return "\n".join(rows) + "\n\n"


def scenarios() -> str:
    """Return every scenario that comes with the package."""
    rows = ["\n| name | what it is |", "|---|---|"]
    rows += [f"| {name} | {scenario.about} |" for name, scenario in named_scenarios().items()]
    return "\n".join(rows) + "\n\n"


def kinds() -> str:
    """Return every kind of fault but the moves, by its group and port."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for fault in FAULTS:
        if fault.kind not in MOVES:
            kinds.setdefault((fault.group, fault.port.name), []).append(fault.kind)
    rows = ["\n| group | port | kinds |", "|---|---|---|"]
    rows += [f"| {group} | {port} | {', '.join(names)} |" for (group, port), names in kinds.items()]
    return "\n".join(rows) + "\n\n"


def metrics() -> str:
    """Return every metric by both of its names, with its labels and what it tells."""
    rows = ["\n| Prometheus | OpenTelemetry | kind | labels | what it tells |", "|---|---|---|---|---|"]
    for metric in METRICS:
        names = f"`{prometheus.metric_name(metric)}` | `{opentelemetry.metric_name(metric)}`, {metric.unit}"
        labels = ", ".join(_label(label) for label in metric.labels)
        rows.append(f"| {names} | {metric.kind} | {labels} | {metric.about} |")
    return "\n".join(rows) + "\n\n"


def _label(label: str) -> str:
    attribute = opentelemetry.attribute_name(label)
    return f"`{label}`" if attribute == f"syncfsm.{label}" else f"`{label}` (`{attribute}`)"


def spans() -> str:
    """Return every span with what it tells."""
    rows = ["\n| span | what it tells |", "|---|---|"]
    rows += [f"| {name} | {about} |" for name, about in SPANS.items()]
    return "\n".join(rows) + "\n\n"


def span_attributes() -> str:
    """Return every attribute of spans with where it is."""
    rows = ["\n| attribute | where |", "|---|---|"]
    rows += [f"| `{name}` | {where} |" for name, where in ATTRIBUTES.items()]
    return "\n".join(rows) + "\n\n"


def _attributes(doc: str) -> dict[str, str]:
    """Return what a docstring's `Attributes:` section says of each name."""
    section = doc.partition("Attributes:")[2]
    entries = re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def shared_settings() -> str:
    """Return every setting that is said to all commands that work on a source."""
    options = {
        name: option
        for path, command in _leaves()
        if is_shared(command)
        for name, option in options_of(command).items()
    }
    rows = ["\n| setting | variable | value | default | meaning |", "|---|---|---|---|---|"]
    rows += [f"| `{name}` | `{variable_of(name)}` | {_setting(option)} |" for name, option in options.items()]
    return "\n".join(rows) + "\n\n"


def command_settings() -> str:
    """Return every setting that is said to one command only, but for `json`, which nearly all have."""
    rows = ["\n| table | setting | variable | value | default | meaning |", "|---|---|---|---|---|---|"]
    for path, command in _leaves():
        table = f'["{path}"]' if " " in path else f"[{path}]"
        for name, option in options_of(command).items():
            if not is_shared(command) and name != "json":
                variable = variable_of(path, name)
                rows.append(f"| `{table}` | `{name}` | `{variable}` | {_setting(option)} |")
    return "\n".join(rows) + "\n\n"


def _leaves() -> list[tuple[str, click.Command]]:
    """Return every command that is no group, by the name of its table."""
    found = _commands("", main)
    return [(path.strip(), command) for path, command in found if not isinstance(command, click.Group)]


def _setting(option: click.Option) -> str:
    """Return what an option takes, its default and its meaning, as cells."""
    default = option.get_default(click.Context(click.Command("any")))
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    meaning, _, said = (option.help or "").partition("  [default: ")
    default_words = (
        f"`{shown}`" if isinstance(default, str | int | float) and default != "" else said.rstrip("]")
    )
    return f"{_takes(option)} | {default_words} | {meaning}"


def _takes(option: click.Option) -> str:
    if option.is_flag:
        return "true or false"
    if isinstance(option.type, click.Choice):
        return " or ".join(map(str, option.type.choices))
    kind = "number" if isinstance(option.type, click.types.FloatParamType) else "text"
    kind = "whole number" if isinstance(option.type, click.types.IntParamType) else kind
    kind = option.type.name if isinstance(option.type, ReadAheadType) else kind
    has_range = isinstance(option.type, click.IntRange | click.FloatRange)
    words = f"{kind}, {option.type._describe_range()}" if has_range else kind  # noqa: SLF001 - as --help has it
    return f"list of {words}s" if option.multiple else words


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
