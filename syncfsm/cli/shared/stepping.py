"""Stepping through a process with keys, on a terminal."""

from __future__ import annotations

import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import click
from rich.console import Console

from syncfsm.cli.shared.keys import typed_keys
from syncfsm.cli.shared.moments import moment_lines
from syncfsm.cli.shared.output import fitted
from syncfsm.history.replay import Timeline
from syncfsm.outside.safe_words import printable

FAR = 25
"""Versions that the page keys go."""

_HELP = "q quit   → ← one event   PgDn PgUp 25   Home End   n N next, last trouble   12g to version 12"

_Move = Callable[[Timeline, int], int]


def _next_trouble(timeline: Timeline, version: int) -> int:
    later = timeline.troubles[bisect_right(timeline.troubles, version) :]
    return later[0] if later else version


def _last_trouble(timeline: Timeline, version: int) -> int:
    earlier = timeline.troubles[: bisect_left(timeline.troubles, version)]
    return earlier[-1] if earlier else version


_MOVES: dict[tuple[str, ...], _Move] = {
    # keys, as terminals send them
    ("\x1b[C", "\x1bOC", "\x1b[B", "\x1bOB", "l", "j", " ", "\r", "\n"): lambda _, version: version + 1,
    ("\x1b[D", "\x1bOD", "\x1b[A", "\x1bOA", "h", "k", "\x7f", "\b"): lambda _, version: version - 1,
    ("\x1b[6~",): lambda _, version: version + FAR,
    ("\x1b[5~",): lambda _, version: version - FAR,
    ("\x1b[H", "\x1bOH", "\x1b[1~"): lambda *_: 1,
    ("\x1b[F", "\x1bOF", "\x1b[4~", "G"): lambda timeline, _: timeline.last,
    ("n",): _next_trouble,
    ("N", "p"): _last_trouble,
}

_BY_KEY = {key: move for keys, move in _MOVES.items() for key in keys}
_QUIT = ("q", "\x1b", "\x04")


def step_by_keys(timeline: Timeline) -> None:
    """Show the last step, then go where the keys say, until `q`."""
    version, typed = timeline.last, ""
    with Console().screen(), typed_keys() as keys:
        _show(timeline, version)
        for key in keys:
            if key in _QUIT:
                return
            if key.isdecimal():
                typed += key
                continue
            version = _moved(timeline, version, key, typed)
            typed = ""
            _show(timeline, version)


def _moved(timeline: Timeline, version: int, key: str, typed: str) -> int:
    """Return where a key leads, with the number that was typed before it."""
    move = _BY_KEY.get(key)
    wanted = move(timeline, version) if move else version
    if key == "g":
        wanted = int(typed or 1)
    return min(max(1, wanted), timeline.last)


def _show(timeline: Timeline, version: int) -> None:
    """Write one step at the top of an empty screen, cut to what fits."""
    width, height = shutil.get_terminal_size()
    shown = fitted(moment_lines(timeline.at(version), timeline.last), 13)[: height - 2]
    click.clear()
    click.echo("\n".join([*map(printable, shown), "", click.style(_HELP[: width - 1], dim=True)]), nl=False)
