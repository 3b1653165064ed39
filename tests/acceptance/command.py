"""The command line as a user starts it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from tests.acceptance.forks import Forked, ForkServer
from tests.effort import IS_THOROUGH

ROOT = Path(__file__).parents[2]
KEY = "planted-secret-key-0123456789"

Started = Forked | subprocess.Popen[str]


class Cli:
    """Runs `syncfsm` in a folder of its own."""

    def __init__(self, folder: Path, forks: ForkServer) -> None:
        self.folder = folder
        self.env = {**os.environ, "ATTIO_API_KEY": KEY, "COLUMNS": "100"}
        self.sigint = signal.SIG_DFL  # a background job of a shell ignores Ctrl-C, and hands that on
        self.site: Path | None = None
        """A folder with packages that are installed, beside those of this Python."""
        self._forks = forks

    def start(self, *args: object, stdin: int | None = None, stdout: int | None = None) -> Started:
        """Start a command; it reads from and writes to these, if they are given."""
        command = [*map(str, args)]
        if IS_THOROUGH or pythons(self.env) != pythons(os.environ):
            return self._start_python(command, stdin, stdout)
        return self._forks.start(
            command, folder=self.folder, env=self._whole_env(), sigint=self.sigint, stdin=stdin, stdout=stdout
        )

    def _whole_env(self) -> dict[str, str]:
        return self.env if self.site is None else {**self.env, "PYTHONPATH": f"{self.site}:{ROOT}"}

    def _start_python(
        self, command: list[str], stdin: int | None, stdout: int | None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "syncfsm.cli", *command],
            cwd=self.folder,
            env=self._whole_env(),
            text=True,
            stdin=stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            preexec_fn=partial(signal.signal, signal.SIGINT, self.sigint),  # noqa: PLW1509 - it does no more than that
        )

    def __call__(self, *args: object, status: int = 0) -> tuple[str, str]:
        """Return what a command printed, after checking its exit status."""
        process = self.start(*args)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, f"{args}: exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        assert KEY not in out + err
        return out, err

    def json(self, *args: object, status: int = 0) -> dict[str, Any]:
        out, _ = self(*args, "--json", status=status)
        answer: dict[str, Any] = json.loads(out)
        return answer

    def sync(self, url: str, *args: object, status: int = 0) -> dict[str, Any]:
        return self.json(*self.sync_args(url), *args, status=status)

    def sync_args(self, url: str) -> tuple[str, ...]:
        where = ("--base-url", url, "--sink", "sqlite:contacts.db", "--log", "sync.db")
        return ("sync", "--source", "attio", *where)


def contacts_in(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    """Return what a SQLite sink has, by its people's ids."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM contacts ORDER BY external_id").fetchall()


def pythons(env: Mapping[str, str]) -> dict[str, str]:
    """Return what an environment says to Python itself, which hears it only when it starts."""
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}
