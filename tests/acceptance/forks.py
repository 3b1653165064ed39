"""Commands without the wait for Python's imports: forked from a process that has done them already.

Python takes half a second of work to load what `syncfsm sync` needs, and the command itself much less; a
thousand commands made that most of what the whole suite took. Here each is still a process of its own, with
its own folder, environment, pipes and signals, and ends as any other does: killed, interrupted or through.
What a fork cannot show, that it starts at all and loads what it needs, the tests of the docs and of the help
show, and with THOROUGH=1 (make thorough) every test.

The server is this module as a program. Forking is safe there since it has no other thread. For each command
it forks, it tells its process id and, when it has ended, how.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

REQUEST_BYTES_MAX = 1 << 17
PIPE_BYTES = 1 << 16
PACKAGES = ("syncfsm", "syncfsm_simulator", "uvicorn", "httpx", "httpcore", "anyio", "phonenumbers")


class Forked:
    """A command that has begun; what tests use of `subprocess.Popen[str]`, by the same names.

    Another thread may kill it while one waits for its end.
    """

    def __init__(self, end: socket.socket, stdout: int | None, stderr: int) -> None:
        self.returncode: int | None = None
        self.stdout: TextIO | None = None if stdout is None else os.fdopen(stdout, encoding="utf-8")
        self.stderr: TextIO | None = os.fdopen(stderr, encoding="utf-8")
        self.pid = int(end.recv(64))
        self._end = end.detach()
        self._ending = threading.Lock()
        weakref.finalize(self, os.close, self._end)

    def poll(self) -> int | None:
        with contextlib.suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, as a negative number where a signal ended it."""
        if self.returncode is None:
            ready, _, _ = select.select([self._end], [], [], timeout)
            if not ready:
                raise TimeoutError
            with self._ending:  # of two that wait, one is told, and the other that there is no more
                if self.returncode is None:
                    self.returncode = int(os.read(self._end, 64))
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

    def start(
        self,
        args: list[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        sigint: Any,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> Forked:
        """Start `syncfsm` with these arguments; without a `stdout` of the caller's, with a pipe for it."""
        end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, out_theirs = os.pipe() if stdout is None else (None, os.dup(stdout))
        err, err_theirs = os.pipe()
        in_theirs = os.open(os.devnull, os.O_RDONLY) if stdin is None else os.dup(stdin)
        request = {"args": args, "folder": str(folder), "env": dict(env), "sigint": int(sigint)}
        fds = [in_theirs, out_theirs, err_theirs, theirs.detach()]
        socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
        for fd in fds:
            os.close(fd)
        return Forked(end, out, err)

    def close(self) -> None:
        self._socket.close()
        self._process.communicate()


# ── the server ───────────────────────────────────────────────────────────────────────────────


def load() -> None:
    """Import all that any command may need, and do once what each would do when it is first asked for."""
    for name in PACKAGES:
        package = import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # of an extra that is not installed
                    import_module(module.name)
    with Path(os.devnull).open("w") as out, contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        import_module("syncfsm.outside.environment").trusted()
        import_module("syncfsm.cli").main(["simulate", "calm", "--people", "3", "--log", ":memory:"])


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Return what to run, in the process that is to run it; `None` in the server, at the end."""
    ended, ending = os.pipe()
    os.set_blocking(ending, False)
    signal.set_wakeup_fd(ending)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it wakes
    listeners: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            os.read(ended, PIPE_BYTES)
            tell_ends(listeners)
        if requests not in ready:
            continue
        message, fds, _, _ = socket.recv_fds(requests, REQUEST_BYTES_MAX, 4)
        if not message:
            return None
        *places, listener = fds
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (requests.detach(), ended, ending, listener, *listeners.values()):
                os.close(fd)
            request: dict[str, Any] = json.loads(message)
            take_place(request, places)
            return request
        for fd in places:
            os.close(fd)
        listeners[pid] = listener
        tell(listener, pid)


def tell(listener: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        os.write(listener, str(number).encode())


def tell_ends(listeners: dict[int, int]) -> None:
    """Tell of all commands that have ended, how."""
    with contextlib.suppress(ChildProcessError):  # there is none left
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            listener = listeners.pop(ended[0])
            tell(listener, os.waitstatus_to_exitcode(ended[1]))
            os.close(listener)


def take_place(request: dict[str, Any], places: Sequence[int]) -> None:
    """Become what `subprocess` would have started."""
    for place, fd in enumerate(places):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[1:1] = filter(None, request["env"].get("PYTHONPATH", "").split(os.pathsep))
    time.tzset()
    is_heard = request["sigint"] == signal.SIG_DFL
    signal.signal(signal.SIGINT, signal.default_int_handler if is_heard else signal.SIG_IGN)
    sys.argv = ["syncfsm", *request["args"]]


def run() -> None:
    """Run the command; where it ends as it should, don't wait for Python to take all it has loaded apart."""
    try:
        import_module("syncfsm.cli").main(prog_name="syncfsm")
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
