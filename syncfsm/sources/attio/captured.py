"""Attio as it was captured: answers requests from what a log keeps, without a network.

Pages come in the order in which they were taken the first time; a page that was fetched and then fetched
again, after a crash, is left out, since only the last was delivered. Companies are answered by id, as they
were known when the page at hand was delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, assert_never

import msgspec

from syncfsm.core import events as e
from syncfsm.core.capture import Captured, Exchange
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.value import Value
from syncfsm.outside.http import Reply
from syncfsm.sources.attio.singly import NOT_FOUND
from syncfsm.sources.attio.source import request_text
from syncfsm.sources.attio.wire import decode_rows, id_of

_NEVER = 2**63 - 1

PAGE_MARK = '"offset":'
"""What only the request for a page has, and no look-up."""


class Turn(Value, frozen=True):
    """What comes next: a page, or another page size.

    Attributes:
        version: The version of the event that the page led to.
        delivered: The version at which the page was delivered; past all others if it never was.
        page_size: The page size from here on, where the first process was resumed with another.
        is_step_back: The page was not anchored, and led to a step back.
    """

    version: int
    delivered: int = _NEVER
    page_size: int | None = None
    is_step_back: bool = False


def turns_of(stream: Iterable[e.Recorded], has_page: Callable[[int], bool]) -> list[Turn]:
    """Return what led a process to where it came, without what a crash or a failure undid.

    Args:
        stream: The process's events.
        has_page: Whether a page was captured at a version.
    """
    settled: list[Turn] = []
    begun: list[Turn] = []  # since the last delivery
    for recorded in stream:
        version = recorded.version
        match recorded.event:
            case e.PageFetched():
                begun = [*_steps_back(begun), Turn(version=version)]
            case e.PagesShifted():
                begun = [*_steps_back(begun), Turn(version=version, is_step_back=True)]
            case e.SyncFailed(action="fetch") if has_page(version):
                begun = [*_steps_back(begun), Turn(version=version)]
            case e.PageDelivered():
                settled += [msgspec.structs.replace(turn, delivered=version) for turn in begun]
                begun = []
            case e.SyncResumed(page_size=page_size):
                settled += [Turn(version=version, page_size=page_size)] if page_size else []
                begun = []
            case (
                e.SyncStarted() | e.FetchingBegan() | e.NothingNewFound()
                | e.MissingFound() | e.RecordRejected()
                | e.RetryScheduled() | e.SyncCompleted() | e.SyncFailed() | e.SyncCancelled()
            ):  # fmt: skip
                pass
            case _:
                assert_never(recorded.event)
    return settled + begun


def _steps_back(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.is_step_back]


class CapturedApi:
    """Answers in the place of an `HttpClient`.

    Args:
        captures: What is kept of the process, in order.
        exchange: Returns one of them with its body.
        turns: See `turns_of`.
        end: What to say when the captures are at their end.

    Attributes:
        page_size: The page size with which the first process went on here, if that is why it failed.
    """

    def __init__(
        self,
        captures: Sequence[Captured],
        exchange: Callable[[int], Exchange],
        turns: Sequence[Turn],
        end: str,
    ) -> None:
        self.page_size: int | None = None
        self._exchange = exchange
        self._turns = list(reversed(turns))
        self._delivered = 0
        self._end = end
        self._pages = {captured.version: captured for captured in captures if is_page(captured)}
        self._latest = {captured.request: captured for captured in captures}
        look_ups = [captured for captured in captures if not is_page(captured)]
        self._look_ups = [captured for captured in look_ups if captured.request.startswith("POST")]
        self._known: dict[str, bytes | None] = {}

    async def request(self, method: str, path: str, json: Any = None) -> Reply | Failure:
        """Answer as it was answered."""
        text = request_text(method, path, json)
        if method == "GET":
            captured = self._latest.get(text)
            if captured is None and "/records/" in path:  # what was not there left nothing to be captured
                return msgspec.structs.replace(_missing("it was not there"), code=NOT_FOUND)
            return self._reply(captured) if captured else _missing(f"the answer to {text} was not captured")
        return self._page(text) if PAGE_MARK in text else self._companies(json["filter"]["record_id"]["$in"])

    async def aclose(self) -> None:
        """Nothing is held."""

    def _page(self, text: str) -> Reply | Failure:
        turn = self._turns[-1] if self._turns else None
        if turn is None:
            return _missing(self._end)
        if turn.page_size is not None:
            self.page_size = turn.page_size
            self._turns.pop()
            return _missing(f"here the first process went on with {turn.page_size} records a page")
        captured = self._pages[turn.version]
        if captured.request != text:
            # As Attio does with a second sort that it does not know; the source then asks without it.
            return _failure(FailureKind.BAD_REQUEST, f"another page was captured: {captured.request}")
        self._turns.pop()
        self._delivered = turn.delivered
        return self._reply(captured)

    def _companies(self, record_ids: Sequence[str]) -> Reply | Failure:
        self._learn()
        unknown = [record_id for record_id in record_ids if record_id not in self._known]
        if unknown:
            words = f"no company {unknown[0]} was looked up; if none was, give --no-companies here too"
            return _missing(words)
        rows = filter(None, (self._known[record_id] for record_id in record_ids))
        return _to_reply(b'{"data":[' + b",".join(rows) + b"]}", "")

    def _learn(self) -> None:
        """Learn what was looked up until the page at hand was delivered; what came last counts."""
        while self._look_ups and self._look_ups[0].version <= self._delivered:
            exchange = self._exchange(self._look_ups.pop(0).id)
            asked = msgspec.json.decode(exchange.request.split(" ", 2)[2])
            rows = {id_of(bytes(row)): bytes(row) for row in decode_rows(exchange.body) or ()}
            self._known |= {
                record_id: rows.get(record_id) for record_id in asked["filter"]["record_id"]["$in"]
            }

    def _reply(self, captured: Captured) -> Reply:
        exchange = self._exchange(captured.id)
        return _to_reply(exchange.body, exchange.as_of)


def is_page(captured: Captured) -> bool:
    """Whether it is a page of records, and not a check or a look-up."""
    return PAGE_MARK in captured.request


def _to_reply(body: bytes, as_of: str) -> Reply:
    import httpx  # noqa: PLC0415 - a client is loaded when it is used

    return Reply(body, httpx.Headers({"x-accurate-at": as_of} if as_of else {}))


def _missing(words: str) -> Failure:
    return _failure(FailureKind.NOT_FOUND, words)


def _failure(kind: FailureKind, words: str) -> Failure:
    return Failure(kind=kind, message=f"{words}.")
