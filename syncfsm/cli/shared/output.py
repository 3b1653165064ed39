"""How commands speak: results on stdout, everything else on stderr; errors without tracebacks."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from json import dumps
from math import isfinite
from shlex import quote
from textwrap import wrap
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from syncfsm.cli.shared.settings import config_option
from syncfsm.cli.shared.unsaid import said, without_passwords
from syncfsm.errors import (
    AppendInDoubt,
    CorruptLog,
    InvalidTransition,
    LogUnwritable,
    NotReproducible,
    SyncfsmError,
    VersionConflict,
)
from syncfsm.outside.safe_words import printable

if TYPE_CHECKING:
    from syncfsm.log.checks.findings import Finding

FAILED = 1
WRONG_USE = 2
BROKEN = 3
INTERRUPTED = 130
PIPE_CLOSED = 141
"""Whoever read the output went away, as `head` does: what a shell says of a command that SIGPIPE ended."""

TERMINATED = 143
"""Likewise of one that SIGTERM ended."""

_TERMINATED = "syncfsm.terminated"

FINDINGS_SHOWN_MAX = 50

_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")

_STATUS: dict[type[SyncfsmError], int] = {
    LogUnwritable: FAILED,
    AppendInDoubt: FAILED,
    VersionConflict: FAILED,
    CorruptLog: BROKEN,
    InvalidTransition: BROKEN,
    NotReproducible: BROKEN,
}

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print exactly one JSON object on stdout, for machines."
)


class Command(click.Command):
    """A command whose expected errors end in one line and an exit status."""

    interrupted = "interrupted"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.insert(0, config_option(hidden=True))  # what other options say may depend on it

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn this package's errors into words."""
        try:
            with printing():
                return super().invoke(ctx)
        except SyncfsmError as error:
            _stop(ctx, str(error), type(error).__name__, _status(error), *_hints(error, ctx))
        except KeyboardInterrupt:
            if ctx.meta.get(_TERMINATED):
                _stop(ctx, self.interrupted.replace("interrupted", "terminated"), "Terminated", TERMINATED)
            _stop(ctx, self.interrupted, "Interrupted", INTERRUPTED)


class Resumable(Command):
    """A command whose work is taken up where it stopped."""

    interrupted = "interrupted; run the same command again to go on where it stopped"

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; SIGTERM, as service managers and `docker stop` send it, ends it as Ctrl-C does."""
        with _sigterm_as_ctrl_c(ctx):
            return super().invoke(ctx)


@contextmanager
def _sigterm_as_ctrl_c(ctx: click.Context) -> Iterator[None]:
    """Do at SIGTERM what Ctrl-C does now, within an event loop too, and remember that it was SIGTERM."""

    def heed(_signal: int, frame: FrameType | None) -> None:
        ctx.meta[_TERMINATED] = True
        on_ctrl_c = signal.getsignal(signal.SIGINT)  # asyncio's lets what runs end in good order
        if not callable(on_ctrl_c):  # a job in the background of a shell ignores Ctrl-C
            raise KeyboardInterrupt
        on_ctrl_c(signal.SIGINT, frame)

    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody handle signals
        yield
        return
    before = signal.signal(signal.SIGTERM, heed)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class FiniteRange(click.FloatRange):
    """A range of numbers that are some: `nan` lies in every range, and no clock can wait for it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is no number to work with.", param, ctx)
        return number


@contextmanager
def printing() -> Iterator[None]:
    """End quietly where nobody reads the output any more, and in words where it cannot be written."""
    try:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # as stderr is: not every encoding has an arrow
        try:
            yield
        finally:
            if sys.stdout is not None:  # nothing is, where it was closed before we began
                sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        sys.exit(PIPE_CLOSED)
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        _abandon_stdout()
        say(f"error: the output cannot be written: {os.strerror(error.errno or 0)}", err=True)
        sys.exit(FAILED)


def _abandon_stdout() -> None:
    """Let what is still to be written go nowhere, so that Python's own end does not fail on it."""
    with suppress(OSError, ValueError):  # tests may have a stdout without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _hints(error: SyncfsmError, ctx: click.Context) -> tuple[str, ...]:
    """Return what to do about a log that does not hold; commands that are about that say it themselves."""
    if not isinstance(error, CorruptLog) or "syncfsm" in str(error):
        return ()
    path = quote(without_passwords(str(ctx.params.get("log_path", "LOG"))))
    words = (
        f"`syncfsm log verify {path}` says what is wrong, and `syncfsm log export {path}` saves what is sound"
    )
    return (f"  {words}",)


def _status(error: SyncfsmError) -> int:
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), WRONG_USE)


def _stop(ctx: click.Context, words: str, kind: str, status: int, *hints: str) -> NoReturn:
    words = without_passwords(words, said(ctx))
    if ctx.params.get("as_json"):
        print_json({"error": "\n".join((words, *hints)), "type": kind})
    say(f"error: {words}", *hints, err=True)
    sys.exit(status)


def say(*lines: str, err: bool = False) -> None:
    """Print lines. What comes from outside may stand in them: no control character gets to the terminal."""
    click.echo("\n".join(map(printable, lines)), err=err)


def fitted(lines: Iterable[str], indent: int) -> list[str]:
    """Return lines broken at words to fit the terminal; as they are where there is none."""
    if not sys.stdout.isatty():
        return list(lines)
    width = max(40, shutil.get_terminal_size().columns - 1)
    return [part for line in lines for part in _wrapped(line, width, indent) or [""]]


def _wrapped(line: str, width: int, indent: int) -> list[str]:
    """Return the parts of a line; a command, which is indented further, stays whole to be copied."""
    if line[indent : indent + 4].isspace():
        return [line]
    hang = " " * indent
    return wrap(line, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)


def print_json(value: Any) -> None:
    """Print one JSON object."""
    click.echo(_escaped(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def print_json_line(value: Any) -> None:
    """Print one JSON object in one line."""
    click.echo(_escaped(msgspec.json.encode(value).decode()))


def _escaped(json: str) -> str:
    """Return JSON with escapes for what is not to reach a terminal, or has no place in its encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    is_unicode = encoding.lower().startswith("utf")

    def shown(found: re.Match[str]) -> str:
        character = found[0]
        if is_unicode and printable(character) == character:
            return character
        return "\\u007f" if character == "\x7f" else dumps(character)[1:-1]

    return _BEYOND_ASCII.sub(shown, json)


def print_findings(findings: Sequence[Finding], *, err: bool = False) -> None:
    """Print what is wrong with a log, one line each."""
    for finding in findings[:FINDINGS_SHOWN_MAX]:
        place = f"position {finding.position}" if finding.position else ""
        process = f"process {finding.process}" if finding.process else ""
        version = f"version {finding.version}" if finding.version else ""
        where = ", ".join(filter(None, (place, process, version, finding.type)))
        say(f"{where or 'the log'}: {finding.problem}", err=err)
    if len(findings) > FINDINGS_SHOWN_MAX:
        say(f"… and {len(findings) - FINDINGS_SHOWN_MAX} more", err=err)
