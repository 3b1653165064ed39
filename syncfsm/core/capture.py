"""What came from outside, kept so that it can be run through again: personal data, and off by default.

A source that can be captured gives a `Recorder`, and puts into it every answer that it takes. The engine
hands what is in it to the log with the next events, in the same transaction: no event of a captured process
is ever there without the answers that led to it. What a transform looked up for an action that then failed
stays for the next append, since the transform may remember it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from syncfsm.core.value import Value


class Exchange(Value, frozen=True):
    """A request and its answer.

    Attributes:
        request: Method, path and body, as text; no header, so no key.
        as_of: The instant that the answer says it reflects, ISO 8601; empty if it says none.
        body: The answer, uncompressed; the key, where it was repeated, is taken out.
    """

    request: str
    as_of: str
    body: bytes


class Captured(Value, frozen=True):
    """An exchange that a log keeps, without its body: `EventLog.exchange` has that.

    Attributes:
        id: Its number in the log.
        version: The version of the first event that was appended with it.
        request: See `Exchange`.
    """

    id: int
    version: int
    request: str


class Forgotten(Value, frozen=True):
    """What was deleted: how many exchanges, and how many bytes the log's files are smaller."""

    exchanges: int
    freed_bytes: int


class Recorder:
    """Keeps exchanges until they are in the log; of the same request, the last one."""

    def __init__(self) -> None:
        self._exchanges: dict[str, Exchange] = {}

    def keep(self, exchange: Exchange) -> None:
        """Keep an exchange for the next append."""
        self._exchanges.pop(exchange.request, None)  # so that it comes last
        self._exchanges[exchange.request] = exchange

    def pending(self) -> tuple[Exchange, ...]:
        """Return what is not in the log yet, in the order in which it came."""
        return tuple(self._exchanges.values())

    def clear(self) -> None:
        """Let go of what is in the log now."""
        self._exchanges.clear()


@runtime_checkable
class Recordable(Protocol):
    """A source that can be captured."""

    def record(self) -> Recorder:
        """Keep every answer from now on, and return where."""
        ...
