"""Telling somebody that a process failed or stands still: once for each process, by a URL or a command.

What is told is what the log says of the process, as JSON. That it could not be told is said to whoever runs
the syncs, and holds up nothing.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import Any

import msgspec

from syncfsm.core import events as e
from syncfsm.core.process import Process
from syncfsm.core.summary import summary
from syncfsm.errors import ConfigurationError
from syncfsm.log.protocol import EventLog

TIMEOUT_S = 30.0

_STDERR = 2

Alert = dict[str, Any]
"""`alert`, which is `failed` or `stalled`, `log`, `sync`, and the summary of the process."""


class Alerts:
    """Tells whoever is to know.

    Args:
        target: Where to: an `https://…` or `http://…` URL, which gets a POST, or a command, which gets it on
            its standard input.
        say: Called with words where it could not be told.

    Raises:
        ConfigurationError: The target is neither.
    """

    def __init__(self, target: str, say: Callable[[str], None]) -> None:
        self._is_url = target.startswith(("https://", "http://"))
        self._target = target
        try:
            self._command = [] if self._is_url else shlex.split(target)
        except ValueError as error:
            raise ConfigurationError(f"whom to tell of failures is no command: {error}") from error
        if not self._is_url and not self._command:
            raise ConfigurationError("whom to tell of failures is empty: give a URL or a command")
        self._say = say
        self._telling: set[asyncio.Task[None]] = set()

    def of_failure(self, log: EventLog, sync: str, process: Process) -> None:
        """Begin to tell of a process, if it has failed and was not told of before."""
        if process.failure is None:
            return
        events = (recorded.event for recorded in log.read(process.id))
        if sum(isinstance(event, e.SyncFailed) for event in events) == 1:
            self._begin("failed", log, sync, process)

    def of_standstill(self, log: EventLog, sync: str, process: Process) -> None:
        """Begin to tell of a process that does not move."""
        self._begin("stalled", log, sync, process)

    async def settle(self) -> None:
        """Wait until all that is to be told is told."""
        await asyncio.gather(*self._telling)

    def _begin(self, what: str, log: EventLog, sync: str, process: Process) -> None:
        alert = {"alert": what, "log": log.path, "sync": sync, **summary(process)}
        task = asyncio.get_running_loop().create_task(self.tell(alert))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def tell(self, alert: Alert) -> None:
        """Tell, and wait until it is told; it takes no longer than `TIMEOUT_S`."""
        body = msgspec.json.encode(alert)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                problem = await (self._post(body) if self._is_url else self._run(body))
        except TimeoutError:
            problem = f"it took longer than {TIMEOUT_S:g} s"
        except OSError as error:
            problem = error.strerror or type(error).__name__
        if problem:
            what = "the URL" if self._is_url else f"the command {self._command[0]}"
            self._say(f"nobody was told that process {alert['process']} {alert['alert']}: {what}: {problem}")

    async def _post(self, body: bytes) -> str:
        import httpx  # noqa: PLC0415 - a client is loaded when it is used

        from syncfsm.outside.environment import open_client  # noqa: PLC0415 - likewise

        try:
            async with open_client(None, timeout=TIMEOUT_S) as client:
                reply = await client.post(
                    self._target, content=body, headers={"Content-Type": "application/json"}
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # whose words may quote the URL, and its secrets
            return type(error).__name__
        return "" if reply.is_success else f"it answered {reply.status_code}"

    async def _run(self, body: bytes) -> str:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=_STDERR,  # stdout has lines of JSON
        )
        try:
            await process.communicate(body)
        except BaseException:
            if process.returncode is None:
                process.kill()
            raise
        return "" if process.returncode == 0 else f"it ended with status {process.returncode}"
