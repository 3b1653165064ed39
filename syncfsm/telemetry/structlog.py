"""Events as structlog lines, with secrets taken out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any, TextIO

import msgspec

from syncfsm.core import events as e
from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.outside.safe_words import printable
from syncfsm.telemetry.observer import Observer

REDACTED = "[redacted]"
"""What stands where a secret was."""

LEVELS = e.by_event(
    {
        e.RetryScheduled: "warning",
        e.PagesShifted: "warning",
        e.RecordRejected: "warning",
        e.SyncFailed: "error",
    },
    e.SyncStarted,
    e.FetchingBegan,
    e.NothingNewFound,
    e.PageFetched,
    e.MissingFound,
    e.PageDelivered,
    e.SyncCompleted,
    e.SyncCancelled,
    e.SyncResumed,
    otherwise="info",
)
"""How much each event matters, by its type."""

_TOO_LONG = frozenset({"record_ids", "frontier", "options"})


class LogEvents(Observer):
    """A hook that writes one line for each event: `syncfsm.PageFetched process=… version=… …`."""

    def __init__(self, logger: Any = None) -> None:
        import structlog  # noqa: PLC0415 - loaded when it is used, as are all parts of it: it takes long

        super().__init__()
        self._logger = logger or structlog.get_logger()

    def observe(self, process: Process, recorded: Recorded) -> None:
        """Write the line; long fields (ids, options) are left to the log itself."""
        fields = msgspec.to_builtins(recorded.event)
        shown = {key: value for key, value in fields.items() if key not in _TOO_LONG}
        write = getattr(self._logger, LEVELS[type(recorded.event)])
        write(f"syncfsm.{recorded.type}", process=process.id, version=recorded.version, **shown)


def redact(secrets: Collection[str]) -> Callable[[Any, str, Any], Any]:
    """Return a structlog processor that takes the secrets out of every text it finds."""
    known = [secret for secret in secrets if secret]

    def cleaned(text: str) -> str:
        for secret in known:
            text = text.replace(secret, REDACTED)
        return text

    def processor(_logger: Any, _method: str, event: Any) -> Any:
        return _texts(event, cleaned)

    return processor


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _texts(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_texts(item, change) for item in value]
    return value


def _printable(_logger: Any, _method: str, event: Any) -> Any:
    """Let no control character get to a terminal."""
    return _texts(event, printable)


def stderr_logger(secrets: Collection[str] = (), *, level: str = "info", file: TextIO | None = None) -> Any:
    """Return a logger that writes to stderr: key=value lines from `level` up, UTC times, no secrets."""
    import structlog  # noqa: PLC0415 - likewise

    return structlog.wrap_logger(
        structlog.PrintLogger(file or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact(secrets),
            _printable,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
