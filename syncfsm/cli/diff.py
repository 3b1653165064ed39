"""`syncfsm diff`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Self

import click
from msgspec import to_builtins

from syncfsm.cli.shared.output import Command, json_option, print_json, say
from syncfsm.core.describe import action_words, event_words, plural
from syncfsm.core.summary import summary
from syncfsm.core.value import Value
from syncfsm.errors import ProcessNotFound
from syncfsm.history.difference import Change, Comparison, Parting, compare, value_words
from syncfsm.history.replay import Moment, find, moments
from syncfsm.log import log_name, open_log
from syncfsm.log.checks.rules import ensure_chained
from syncfsm.postgres.driver import is_postgres


class _Reference(Value, frozen=True):
    """A process as somebody names it: `LOG`, `LOG#PROCESS`, `LOG@VERSION`, `LOG#PROCESS@VERSION`."""

    log_path: str
    process: str | None
    version: int | None

    def __str__(self) -> str:
        """Name it as somebody would, but for what is secret in the log's URL."""
        process = f"#{self.process}" if self.process else ""
        version = f"@{self.version}" if self.version is not None else ""
        return f"{log_name(self.log_path)}{process}{version}"


def _reference(words: str) -> _Reference:
    server, words = _parted(words)
    rest, separator, version = words.rpartition("@")
    if not separator or not version.isdecimal():
        rest, version = words, ""
    log_path, separator, process = rest.rpartition("#")
    if not separator or (server and {*process} & {*"/@"}):  # it belongs to a password that is not encoded
        log_path, process = rest, ""
    return _Reference(
        log_path=f"{server}{log_path}",
        process=process or None,
        version=int(version) if version else None,
    )


def _parted(words: str) -> tuple[str, str]:
    """Return the part of a URL that names the server, where @ and # mean something else, and the rest."""
    if not is_postgres(words):
        return "", words
    scheme, separator, rest = words.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place}{slash}", path


@click.command(cls=Command)
@click.argument("one", metavar="A")
@click.argument("two", metavar="B")
@json_option
def diff(*, one: str, two: str, as_json: bool) -> None:
    """Show the first event in which two processes part, and why, and how their last states differ.

    A and B are each LOG, LOG#PROCESS, LOG@VERSION or LOG#PROCESS@VERSION: PROCESS may be a unique prefix and
    is the last one that began if left out; with a VERSION, what came later is left out. Times and durations
    are no difference. Exit status 0 if they are the same, 1 if not.

    \b
    syncfsm diff monday.db tuesday.db
    syncfsm diff sync.db#3f2a sync.db#77ab
    syncfsm diff sync.db@40 sync.db@80
    """  # noqa: D301 - \b keeps click from wrapping the example
    with _Opened(one) as first, _Opened(two) as second:
        comparison = compare(first.moments(), second.moments())
    if as_json:
        print_json(_as_json(comparison))
    else:
        say(*_lines(str(first), str(second), comparison))
    sys.exit(1 if comparison.parting or comparison.settings else 0)


class _Opened:
    """A process that somebody named, in its opened log."""

    def __init__(self, words: str) -> None:
        self._reference = _reference(words)
        self._log = open_log(self._reference.log_path, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._log.close()

    def __str__(self) -> str:
        return str(self._reference)

    def moments(self) -> Iterator[Moment]:
        process_id, version = find(self._log, self._reference.process), self._reference.version
        ensure_chained(self._log, process_id)
        last = self._log.version(process_id)
        if version is not None and not 1 <= version <= last:
            raise ProcessNotFound(f"process {process_id} has versions 1 to {last}, not {version}")
        return moments(self._log, process_id, until=version)


def _as_json(comparison: Comparison) -> dict[str, Any]:
    parting = comparison.parting
    return {
        "same": parting is None and not comparison.settings,
        "settings": _changes(comparison.settings),
        "parting": parting and {
            "version": parting.version,
            "one": _event(parting.one),
            "two": _event(parting.two),
            "differences": _changes(parting.differences),
        },
        "only_one": comparison.only_one,
        "only_two": comparison.only_two,
        "ends": _changes(comparison.ends),
        "one": comparison.one and summary(comparison.one.after),
        "two": comparison.two and summary(comparison.two.after),
    }  # fmt: skip


def _changes(changes: tuple[Change, ...]) -> Any:
    return to_builtins(changes, order="deterministic")


def _event(step: Moment | None) -> dict[str, Any] | None:
    return {"type": step.recorded.type, **to_builtins(step.recorded)} if step else None


def _lines(one: str, two: str, comparison: Comparison) -> Iterator[str]:
    yield _title("one", one, comparison.one)
    yield _title("two", two, comparison.two)
    yield from _table("what was asked for differs:", comparison.settings)
    if comparison.parting is None:
        yield "they are the same, event by event"
        return
    yield from _parting_lines(comparison.parting)
    for name, counts in (("one", comparison.only_one), ("two", comparison.only_two)):
        told = ", ".join(f"{count:,} {type_}" for type_, count in counts.items())
        yield f"from there on, {name} has {told or 'nothing'}"
    yield from _table("in the end they differ in:", comparison.ends)


def _title(name: str, words: str, last: Moment | None) -> str:
    if last is None:
        return f"{name}  {words}: no events"
    return f"{name}  {words}: process {last.after.id}, {last.after.state} at version {last.after.version:,}"


def _parting_lines(parting: Parting) -> Iterator[str]:
    same = plural(parting.version - 1, "event")
    step = parting.one or parting.two
    assert step is not None, "where two part, one of them has an event"
    yield f"they are the same for {same}, and part at version {parting.version:,}"
    if step.before is not None:
        yield f"  due    {action_words(step.before, step.action)}"
    for name, taken in (("one", parting.one), ("two", parting.two)):
        words = f"{taken.recorded.type}: {event_words(taken.recorded.event)}" if taken else "ends here"
        yield f"  {name}    {words}"
    if parting.one and parting.two and parting.one.recorded.type == parting.two.recorded.type:
        yield from _table("  why:", parting.differences)


def _table(title: str, changes: tuple[Change, ...]) -> Iterator[str]:
    if not changes:
        return
    yield title
    width = max(len(change.field) for change in changes)
    for change in changes:
        yield f"    {change.field:<{width}}  {_both(change)}"


def _both(change: Change) -> str:
    """Return both values; of two lists, also where they first differ."""
    words = f"{value_words(change.before)} → {value_words(change.after)}"
    if not (isinstance(change.before, tuple) and isinstance(change.after, tuple)):
        return words
    pairs = zip(change.before, change.after, strict=False)
    place = next((index for index, (one, two) in enumerate(pairs) if one != two), None)
    if place is None:
        return words
    return f"{words}; number {place + 1} is {change.before[place]} → {change.after[place]}"
