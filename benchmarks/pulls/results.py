"""All that was measured, as one JSON file."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

import msgspec

from benchmarks.pulls.hazards import Cut, Moved, Refused
from benchmarks.pulls.moving import Cost
from benchmarks.pulls.simulated import Simulated
from benchmarks.pulls.speed import Measured
from benchmarks.turns import Result
from syncfsm.core.value import Value

COMMITTED = Path(__file__).parents[1] / "results/pulls.json"
"""The results that docs/benchmarks.md shows."""


class Results(Value, frozen=True):
    """Each part, empty where it was not measured, and on what machine."""

    size: str
    machine: dict[str, str]
    near: tuple[Measured, ...] = ()
    growing: tuple[Measured, ...] = ()
    deep: tuple[Measured, ...] = ()
    moved: tuple[Moved, ...] = ()
    cut: tuple[Cut, ...] = ()
    refused: tuple[Refused, ...] = ()
    costs: tuple[Cost, ...] = ()
    simulated: tuple[Simulated, ...] = ()
    logs: tuple[Result, ...] = ()


def load(path: Path) -> Results:
    """Read results."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


def save(results: Results, path: Path) -> None:
    """Write results, with figures as long as they mean something."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = _rounded(msgspec.to_builtins(results))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=1) + b"\n")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
    }
