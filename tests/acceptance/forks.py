"""Commands without the wait for Python's imports: forked from a process that has done them already.

Python takes half a second of work to load what `syncfsm sync` needs, and the command itself much less; a
thousand commands made that most of what the whole suite took. Here each is still a process of its own, with
its own folder, environment, pipes and signals, and ends as any other does: killed, interrupted or through.
What a fork cannot show, that it starts at all and loads what it needs, the tests of the docs and of the help
show, and with THOROUGH=1 (make thorough) every test.

The server is this module as a program. Forking is safe there since it has no other thread. For each command
it forks a keeper, which forks the command, tells its process id, waits for it, and tells how it ended.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

REQUEST_BYTES_MAX = 1 << 17
PACKAGES = ("syncfsm", "syncfsm_simulator", "uvicorn", "httpx", "httpcore", "anyio", "phonenumbers")


class Forked:
    """A command that has begun; what tests use of `subprocess.Popen[str]`, by the same names."""

    def __init__(self, keeper: socket.socket, stdout: int, stderr: int) -> None:
        self.returncode: int | None = None
        self.stdout: TextIO | None = os.fdopen(stdout, encoding="utf-8")
        self.stderr: TextIO | None = os.fdopen(stderr, encoding="utf-8")
        self._keeper = keeper
        self.pid = int(keeper.recv(64))

    def poll(self) -> int | None:
        with contextlib.suppress(TimeoutError):
            self.wait(0.0001)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, as a negative number where a signal ended it."""
        if self.returncode is None:
            self._keeper.settimeout(timeout)
            self.returncode = int(self._keeper.recv(64))
            self._keeper.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that is left to read, and wait for the end; nothing is left at a second time."""
        with ThreadPoolExecutor(2) as pool:
            reading = pool.submit(rest, self.stdout), pool.submit(rest, self.stderr)
            try:
                self.wait(timeout)
            except TimeoutError:
                self.kill()  # or the readers never end
                raise
            return reading[0].result(), reading[1].result()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def rest(stream: TextIO | None) -> str:
    if stream is None or stream.closed:
        return ""
    with stream:
        return stream.read()


class ForkServer:
    """The server of one test process; it ends with it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, cwd=Path(__file__).parents[2], pass_fds=[theirs.fileno()], stdout=subprocess.PIPE
        )
        theirs.close()

    def start(self, args: list[str], *, folder: Path, env: Mapping[str, str], sigint: Any) -> Forked:
        """Start `syncfsm` with these arguments."""
        keeper, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        (out, out_theirs), (err, err_theirs) = os.pipe(), os.pipe()
        request = {"args": args, "folder": str(folder), "env": dict(env), "sigint": int(sigint)}
        fds = [out_theirs, err_theirs, theirs.fileno()]
        socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
        theirs.close()
        os.close(out_theirs)
        os.close(err_theirs)
        return Forked(keeper, out, err)

    def close(self) -> None:
        self._socket.close()
        self._process.communicate()


# ── the server ───────────────────────────────────────────────────────────────────────────────


def load() -> None:
    """Import all that any command may need."""
    for name in PACKAGES:
        package = import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # of an extra that is not installed
                    import_module(module.name)


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Return what to run, in the process that is to run it; `None` in the server, at the end."""
    while True:
        message, fds, _, _ = socket.recv_fds(requests, REQUEST_BYTES_MAX, 3)
        if not message:
            return None
        if not os.fork():
            requests.close()
            return keep(json.loads(message), *fds)
        for fd in fds:
            os.close(fd)
        reap()


def reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(request: dict[str, Any], stdout: int, stderr: int, listener: int) -> dict[str, Any]:
    """Fork the command, in which alone this returns, and tell the listener of it."""
    pid = os.fork()
    if not pid:
        os.close(listener)
        take_place(request, stdout, stderr)
        return request
    os.close(stdout)
    os.close(stderr)
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        os.write(listener, str(pid).encode())
        os.write(listener, str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def take_place(request: dict[str, Any], stdout: int, stderr: int) -> None:
    """Become what `subprocess` would have started."""
    for fd, place in ((stdout, 1), (stderr, 2)):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    is_heard = request["sigint"] == signal.SIG_DFL
    signal.signal(signal.SIGINT, signal.default_int_handler if is_heard else signal.SIG_IGN)
    sys.argv = ["syncfsm", *request["args"]]


def run() -> None:
    """Run the command; where it ends as it should, don't wait for Python to take all it has loaded apart."""
    from syncfsm.cli import main as command  # noqa: PLC0415 - loaded with all the rest

    try:
        command(prog_name="syncfsm")
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then end the server
    requests = socket.socket(fileno=int(sys.argv[1]))
    load()
    gc.collect()
    gc.freeze()  # or each command would look through, and so copy, all that is loaded
    if serve(requests) is not None:
        run()


if __name__ == "__main__":
    main()
