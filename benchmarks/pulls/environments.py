"""A virtual environment for each peer, with the exact versions that a file beside its program names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).with_name("peers")
WHERE = ROOT / ".venv-bench"


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment, made if it is not there or has other versions."""
    pins, folder = PEERS / f"{peer}.txt", WHERE / peer
    python, made = folder / "bin/python", folder / "made-of.txt"
    if not made.exists() or made.read_text() != pins.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check", "--requirement"]
        subprocess.run([str(python), *install, str(pins)], check=True)
        made.write_text(pins.read_text())
    return python


def version_of(peer: str, package: str) -> str:
    """Return the version of a package that a peer is pinned to."""
    pins = dict(line.split("==") for line in (PEERS / f"{peer}.txt").read_text().split() if "==" in line)
    return pins[package]
