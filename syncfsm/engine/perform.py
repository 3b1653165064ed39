"""Performing actions: the only I/O of the loop.

What comes back is an outcome, a value; `decide` says what it means. Between its fetch and its delivery a
page is held here, in memory. After a crash, or on another worker, nothing is held, and the page is fetched
again; the state machine does not know the difference.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Mapping
from typing import Generic, TypeVar, assert_never

from msgspec.structs import replace

from syncfsm.core import decide as d
from syncfsm.core import events as e
from syncfsm.core.endpoints import emptied, moved, put_back
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.judging import is_nothing_new
from syncfsm.core.marks import SINK_ID
from syncfsm.core.options import Options, heed
from syncfsm.core.paging.lookahead import Lookahead
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.process import Process
from syncfsm.core.rule_of_process import foresee
from syncfsm.engine.answers import believed, fetched
from syncfsm.engine.deliver import Delivery, LookUpFailed
from syncfsm.engine.first_page import FirstPage
from syncfsm.engine.held_page import HeldPage
from syncfsm.engine.readahead import ReadAhead
from syncfsm.engine.width import ReadAheadMax, Width, requests_per_s
from syncfsm.errors import BrokenContract, LogError
from syncfsm.history.earlier import Earlier
from syncfsm.history.sink_marks import SinkMarks
from syncfsm.outside.clock import Clock
from syncfsm.outside.safe_words import raised_words
from syncfsm.sinks.protocol import Sink, capabilities
from syncfsm.sources.protocol import Source, Transform, check_transform, preparing

T = TypeVar("T")
R = TypeVar("R")

_WHOSE: dict[e.ActionName, str] = {
    "check": "the source or the sink",
    "fetch": "the source",
    "deliver": "the transform or the sink",
    "finish": "the source or the sink",
}
"""Whose code is called by an action."""


class Performer(Generic[T]):
    """Does to one source and one sink what the actions say.

    Args:
        source: Where the records come from.
        sink: Where the items go.
        transform: Makes the items.
        clock: Time.
        rng: Chance, for jitter.
        earlier: What the log says came before.
        marks: What of that the sink bears out.
        read_ahead: How many requests may be under way at once, where pages are read ahead. See `Width`. Where
            null, no page at all is asked for before it is due.

    Attributes:
        raised: The last error that what is plugged in raised.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink[T],
        transform: Transform[T],
        *,
        clock: Clock,
        rng: random.Random,
        earlier: Earlier,
        marks: SinkMarks,
        read_ahead: ReadAheadMax | None = 1,
    ) -> None:
        self.raised: Exception | None = None
        self._source = source
        self._sink = sink
        self._clock = clock
        self._rng = rng
        self._earlier = earlier
        self._marks = marks
        self._transform = transform
        self._delivery = Delivery(source, sink, transform, clock=clock, earlier=earlier, marks=marks)
        width = Width(read_ahead or 1, requests_per_s(source))
        self._pages = ReadAhead(source, width, clock, preparing(transform))
        self._checked: str | None = None
        self._found: dict[str, str] = {}
        self._before: Mapping[str, str] = {}
        self._state = ""
        self._heeded: Options | None = None
        self._held: HeldPage | None = None
        self._first = FirstPage()
        self._looks_first = read_ahead is not None

    async def perform(self, process: Process, action: d.Action, *, reads_ahead: bool = False) -> d.Outcome:
        """Perform an action; what the world does wrong is an outcome too, and so is what is raised.

        With `reads_ahead`, pages that will be needed soon may be asked for as well: call `pause` before
        waiting, and `drop` at the end.

        Raises:
            VersionConflict: Somebody else moved the process on, so that nothing more is written for it.
        """
        if process.options != self._heeded:
            self._heeded = process.options
            heed(self._source, process.options)
            heed(self._sink, process.options)
        name, held = d.ACTION_NAMES[type(action)], self._held_for(process)
        if isinstance(action, d.DeliverPage) and held is None:
            name = "fetch"  # a page that is to be delivered, and is not held, is fetched first
        if self._checked != process.id and not isinstance(action, d.CheckSetup):
            found = await self._attempted(name, self._check_same(process))
            if isinstance(found, Failure):
                return self._failed(name, found)
        outcome = await self._attempted(name, self._performed(process, action, held, reads_ahead=reads_ahead))
        if isinstance(outcome, LookUpFailed):
            return self._failed(name, outcome.failure, "look-up")
        return self._failed(name, outcome) if isinstance(outcome, Failure) else outcome

    async def _attempted(self, name: e.ActionName, doing: Awaitable[R]) -> R | Failure:
        """Return what comes of calling what is plugged in; whatever it raises is a failure, in our words.

        Raises:
            LogError: Nothing more can be recorded, nor is to be.
        """
        try:
            return await doing
        except LogError:
            raise
        except BrokenContract as error:
            return Failure(kind=FailureKind.RAISED, message=f"{error}.")
        except Exception as error:  # noqa: BLE001 - what somebody's source, transform or sink raises can be anything
            self.raised = error
            return Failure(kind=FailureKind.RAISED, message=raised_words(_WHOSE[name], error))

    async def _performed(
        self, process: Process, action: d.Action, held: HeldPage | None, *, reads_ahead: bool
    ) -> d.Outcome | LookUpFailed | Failure:
        match action:
            case d.CheckSetup():
                return await self._check(process, action)
            case d.FetchPage():
                return self._first.take(process) or await self._fetch(
                    action.request, foresee(process), is_alone=not reads_ahead
                )
            case d.DeliverPage():
                if held is None:
                    again = foresee(replace(process, pending=None))
                    return await self._fetch(action.refetch, again)
                if reads_ahead and (ahead := foresee(process)) is not None:
                    self._pages.expect(ahead)
                return await self._delivery.deliver(process, held, action.gone)
            case d.AskAgain():
                return d.Unanswered(at=self._clock.now(), chance=self._rng.random())
            case d.FindMissing() | d.FinishSync():
                return await self._finish(process, action)
            case _:
                assert_never(action)

    async def _finish(
        self, process: Process, action: d.FindMissing | d.FinishSync
    ) -> d.FoundMissing | d.Finished | d.TooManyMissing | Failure:
        if isinstance(action, d.FindMissing):
            return await self._delivery.find_missing(process, action)
        return await self._delivery.finish(process, action)

    async def _check(self, process: Process, action: d.CheckSetup) -> d.Checked | d.NothingNew | Failure:
        # Where a later part of the check failed, it goes on from there: few requests a second must do.
        found = self._found if self._checked == process.id else await self._check_same(process)
        if isinstance(found, Failure):
            return found
        # Of single records, nothing is asked: what they do not tell stays as it is.
        failure = None if process.record_ids else await check_transform(self._transform)
        if failure is not None:
            return failure
        there = await self._check_sink(process)
        if isinstance(there, Failure):
            return there
        found = found | there
        is_as_before = self._looks_first and found == self._before
        return await self._look_first(process, found, action.first if is_as_before else None)

    async def _look_first(
        self, process: Process, found: dict[str, str], request: PageRequest | None
    ) -> d.Checked | d.NothingNew | Failure:
        """See whether anything is new; what fails then is no failure of the check."""
        if request is None:
            return d.Checked(found=found)
        first = await self._attempted("fetch", self._fetch(request))
        if isinstance(first, Failure) or not is_nothing_new(process, first):
            return d.Checked(found=found, first=first)
        failure = await self._delivery.finish_early(process, first.as_of)
        return failure or d.NothingNew(as_of=first.as_of, elapsed_ms=first.elapsed_ms)

    async def _check_sink(self, process: Process) -> dict[str, str] | Failure:
        """Check the sink, see who it is, and bring its mark up to what is known of it now."""
        there = await self._sink.check()
        if isinstance(there, Failure):
            return there
        mark, sink = self._marks.restated(process), capabilities(self._sink).marked
        failure = await sink.set_mark(mark) if mark is not None and sink is not None else None
        if failure is not None:
            return failure
        facts = {SINK_ID: self._marks.sink_id() or "", "sink_state": self._state}
        return there | {name: fact for name, fact in facts.items() if fact}

    async def _check_same(self, process: Process) -> dict[str, str] | Failure:
        """Check, once for each process that is begun or gone on with, that it is of the same two sides.

        The key of the source may be another; the file of the sink may be gone.
        """
        found = await self._source.check()
        if isinstance(found, Failure):
            return found
        self._before = self._earlier.setup_facts(process)
        failure = moved(process.source, process.sink, found=found, before=self._before)
        failure = failure or self._marks.mixed_up() or await self.find_lost(process)
        if failure is None:
            self._checked, self._found = process.id, found
        return failure or found

    async def find_lost(self, process: Process) -> Failure | None:
        """Return why a process cannot go on from what the log says is in its sink, if it is not there."""
        sink = capabilities(self._sink).emptiable
        is_filled = self._earlier.is_filled(process)
        if sink is not None and (is_filled or self._marks.is_elsewhere(process)) and await sink.is_empty():
            return emptied(process.sink)
        with self._marks.at_once():
            self._state = self._marks.told()
            if not self._marks.has_lost(process, is_filled=is_filled):
                return None
        unseen = await self._unseen()
        is_lost = unseen is None and self._marks.has_lost(process, is_filled=is_filled)
        return put_back(process.sink) if is_lost else unseen

    async def _unseen(self) -> Failure | None:
        """Return why the sink cannot be looked at for now: what is not seen then is not lost for that."""
        sink = capabilities(self._sink).inspectable
        found = await sink.inspect() if sink is not None else None
        return found if isinstance(found, Failure) else None

    async def make_good(self, process: Process) -> None:
        """See that nobody comes back by a page that was given to the sink when others had moved on."""
        held = self._held_for(process)
        if held is not None and held.is_given:
            await self._attempted("deliver", self._delivery.delete_again(process, held.page.record_ids))

    def forget(self) -> None:
        """Let both sides be told the limits anew, and what they were told of when to come again be over."""
        self._heeded = None

    async def pause(self) -> None:
        """Let nothing be asked for until the next page is."""
        await self._pages.pause()

    async def drop(self) -> None:
        """Give up what was asked for ahead, at the end of a run; the next asks for the key anew."""
        self.forget()
        self._first.drop()
        await self._pages.drop()

    async def _fetch(
        self, request: PageRequest, ahead: Lookahead | None = None, *, is_alone: bool = True
    ) -> d.Fetched | Failure:
        answer = await self._pages.fetch(request, ahead, is_alone=is_alone)
        if isinstance(answer.page, Failure):
            return answer.page
        page = replace(answer.page, as_of=believed(answer.page, self._clock.now()))
        asked = replace(answer.request, cursor=request.cursor)
        return fetched(asked, page, answer.elapsed_ms, is_followed=answer.is_followed)

    def _failed(self, action: e.ActionName, failure: Failure, what: e.ActionPart = "") -> d.Failed:
        return d.Failed(
            action=action, failure=failure, at=self._clock.now(), chance=self._rng.random(), what=what
        )

    def hold(self, process: Process, outcome: d.Outcome) -> None:
        """Keep the page that was fetched until it is delivered, and what was checked until the end."""
        if isinstance(outcome, d.Checked):
            self._first.keep(process, outcome.first)
        if not process.is_active:
            self._checked = None  # whoever goes on with it checks again: the sink may be gone
        if process.pending is None or not process.is_active:
            # What a refetch found may have ended the sync; `pending` is then an older page.
            self._held = None
        elif isinstance(outcome, d.Fetched):
            self._held = HeldPage(process.pending, outcome.rows)

    def _held_for(self, process: Process) -> HeldPage | None:
        """Return the pending page, or `None` after a crash or on another worker."""
        return self._held if self._held and self._held.page == process.pending else None
