"""Stepping through a process with keys, on a terminal."""

from __future__ import annotations

import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import click
from rich.console import Console

from syncfsm.cli.replay import moment_lines
from syncfsm.replay import Timeline

FAR = 25
"""Versions that the page keys go."""

_HELP = "→ ← one event   PgDn PgUp 25   Home End   n N next, last trouble   g go to a version   q quit"

_Move = Callable[[Timeline, int], int]


def _next_trouble(timeline: Timeline, version: int) -> int:
    later = timeline.troubles[bisect_right(timeline.troubles, version) :]
    return later[0] if later else version


def _last_trouble(timeline: Timeline, version: int) -> int:
    earlier = timeline.troubles[: bisect_left(timeline.troubles, version)]
    return earlier[-1] if earlier else version


def _asked_for(timeline: Timeline, version: int) -> int:
    """Return the version that somebody types in; the one they are at if it is none."""
    typed = str(click.prompt(f"\nversion (1 to {timeline.last:,})", default="", show_default=False))
    return int(typed) if typed.isdecimal() else version


_MOVES: dict[tuple[str, ...], _Move] = {
    # keys, as terminals send them
    ("\x1b[C", "\x1bOC", "\x1b[B", "\x1bOB", "l", "j", " ", "\r"): lambda _, version: version + 1,
    ("\x1b[D", "\x1bOD", "\x1b[A", "\x1bOA", "h", "k", "\x7f", "\b"): lambda _, version: version - 1,
    ("\x1b[6~",): lambda _, version: version + FAR,
    ("\x1b[5~",): lambda _, version: version - FAR,
    ("\x1b[H", "\x1bOH", "\x1b[1~", "0"): lambda _, version: 1,  # noqa: ARG005 - like its neighbours
    ("\x1b[F", "\x1bOF", "\x1b[4~", "G"): lambda timeline, _: timeline.last,
    ("n",): _next_trouble,
    ("N", "p"): _last_trouble,
    ("g",): _asked_for,
}

_BY_KEY = {key: move for keys, move in _MOVES.items() for key in keys}
_QUIT = ("q", "\x1b", "\x04")


def step_by_keys(timeline: Timeline) -> None:
    """Show the last step, then go where the keys say, until `q`."""
    console = Console()
    version = timeline.last
    with console.screen():
        while True:
            _show(timeline, version)
            key = click.getchar()
            if key in _QUIT:
                return
            move = _BY_KEY.get(key)
            if move is not None:
                version = min(max(1, move(timeline, version)), timeline.last)


def _show(timeline: Timeline, version: int) -> None:
    """Write one step at the top of an empty screen, cut to what fits."""
    lines = moment_lines(timeline.at(version), timeline.last)
    width, height = shutil.get_terminal_size()
    shown = [line[: width - 1] for line in lines[: height - 2]]
    click.clear()
    click.echo("\n".join([*shown, "", click.style(_HELP[: width - 1], dim=True)]), nl=False)
