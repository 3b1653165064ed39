"""One process, whole: what it took, and what it said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from syncfsm.core.value import Value

LAUNCHER = Path(__file__).with_name("launcher.py")
TIMEOUT_S = 3600
SYNCFSM = str(Path(sys.executable).with_name("syncfsm"))
"""The command, of the environment that this runs in."""


class Taken(Value, frozen=True):
    """What one process took, from its start to its end.

    Attributes:
        wall_s: Seconds.
        cpu_s: Seconds that the processor worked for it, and for processes it started and waited for.
        peak_mb: The most memory that it had at once, MiB; of several processes, that of the largest.
        status: Its exit status; 0 is what it calls success.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    status: int


def run(command: Sequence[str], folder: Path, *, timeout_s: float = TIMEOUT_S) -> Taken:
    """Run a command in a folder, its stdout and stderr in files `out` and `err` there.

    Raises:
        TimeoutError: It did not end in time, and was ended.
    """
    result = folder / "taken.json"
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-I", str(LAUNCHER), str(result), *command],
            cwd=folder,
            stdout=out,
            stderr=err,
            env=_environment(folder),
            start_new_session=True,
        )
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{command[0]} did not end within {timeout_s} s") from error
        finally:
            if process.returncode is None:  # it takes too long, or whoever waits for it is to end
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return msgspec.json.decode(result.read_bytes(), type=Taken)


def _environment(folder: Path) -> dict[str, str]:
    """Return everybody's environment: nothing is sent home, and compiled code is kept, as users have it."""
    own = {"HOME": str(folder), "RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
    return {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "", "ATTIO_API_KEY": "any"}
