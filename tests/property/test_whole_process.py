"""The whole process against a small model: start, step, crash, resume, cancel, fail, in any order."""

from __future__ import annotations

import asyncio
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from syncfsm.core.machine import State
from syncfsm.core.process import Process, fold
from syncfsm.engine.engine import Engine
from syncfsm.errors import ActiveSync, NotActive
from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from tests.effort import tries
from tests.fakes import DOWN, WRONG_KEY, DictSink, Item, ListSource, TestClock, to_items

PEOPLE = 23


class WholeProcess(RuleBasedStateMachine):
    """The model is a state, and how many pages are delivered; the engine must agree with it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = open_log(":memory:")
        self.clock = TestClock()
        self.source = ListSource(self.clock, PEOPLE)
        self.sink = DictSink()
        self.rng = random.Random(1)
        self.process: Process | None = None
        self.model = State.NONE
        self.delivered = 0

    @initialize()
    def build(self) -> None:
        self.engine = self._engine()

    def _engine(self) -> Engine[Item]:
        return Engine(self.log, self.source, self.sink, to_items, clock=self.clock, rng=self.rng)

    def _is(self, *states: State) -> bool:
        return self.model in states

    @precondition(lambda self: not self._is(State.INITIALIZING, State.FETCHING))
    @rule(page_size=st.integers(1, 9))
    def start(self, page_size: int) -> None:
        self.process = self.engine.start(page_size=page_size)
        self.model, self.delivered = State.INITIALIZING, 0

    @precondition(lambda self: self._is(State.INITIALIZING, State.FETCHING))
    @rule()
    def start_while_active(self) -> None:
        try:
            self.engine.start()
        except ActiveSync:
            return
        raise AssertionError("a second sync became active")

    @precondition(lambda self: self._is(State.INITIALIZING, State.FETCHING))
    @rule()
    def step(self) -> None:
        assert self.process is not None
        self._wait()
        before = self.process
        self.process = asyncio.run(self.engine.step(self.process.id))
        if self._is(State.INITIALIZING):
            self.model = State.FETCHING
        elif before.paging.has_more:
            self.delivered = min(PEOPLE, self.delivered + before.page_size)
        else:
            self.model = State.COMPLETED

    @precondition(lambda self: self._is(State.INITIALIZING, State.FETCHING))
    @rule()
    def step_while_the_source_is_down(self) -> None:
        assert self.process is not None
        if self._will_fetch():
            self._wait()
            self.source.failures = [DOWN]
            self.process = asyncio.run(self.engine.step(self.process.id))
            self.source.failures = []
            if self.process.state is State.FAILED:
                assert self.process.progress.retries >= self.process.options.attempts_max - 1
                self.model = State.FAILED

    @precondition(lambda self: self._is(State.INITIALIZING, State.FETCHING))
    @rule()
    def step_with_a_wrong_key(self) -> None:
        assert self.process is not None
        self._wait()
        if self._is(State.INITIALIZING):
            self.source.check_failures = [WRONG_KEY]
        elif self._will_fetch():
            self.source.failures = [WRONG_KEY]
        else:
            return
        self.process = asyncio.run(self.engine.step(self.process.id))
        self.model = State.FAILED

    @rule()
    def crash(self) -> None:
        """Forget everything but the log, the world and the sink."""
        self.engine = self._engine()

    @precondition(lambda self: self._is(State.INITIALIZING, State.FETCHING))
    @rule()
    def cancel(self) -> None:
        assert self.process is not None
        self.process = self.engine.cancel(self.process.id)
        self.model = State.CANCELLED

    @precondition(lambda self: self._is(State.FAILED))
    @rule(page_size=st.none() | st.integers(1, 9))
    def resume(self, page_size: int | None) -> None:
        assert self.process is not None
        had_begun = self.process.found is not None
        self.process = self.engine.resume(self.process.id, page_size=page_size)
        self.model = State.FETCHING if had_begun else State.INITIALIZING

    @precondition(lambda self: self._is(State.COMPLETED, State.CANCELLED))
    @rule()
    def resume_or_cancel_what_is_over(self) -> None:
        assert self.process is not None
        try:
            self.engine.resume(self.process.id)
        except NotActive:
            return
        raise AssertionError("what is over was resumed")

    def _will_fetch(self) -> bool:
        return self._is(State.FETCHING) and self.process is not None and self.process.paging.has_more

    def _wait(self) -> None:
        if self.process is not None and self.process.retry is not None:
            self.clock.at = max(self.clock.at, self.process.retry.retry_at)

    @invariant()
    def engine_and_model_agree(self) -> None:
        if self.process is None:
            return
        assert self.process.state is self.model
        assert self.process.progress.fetched == self.delivered
        assert self.log.load(self.process.id) == self.process
        assert fold(None, self.log.read(self.process.id)) == self.process
        assert len(self.sink.items) >= self.delivered
        if self.model is State.COMPLETED:
            assert self.delivered == PEOPLE

    def teardown(self) -> None:
        assert verify(self.log)[1] == []
        self.log.close()


TestWholeProcess = WholeProcess.TestCase
TestWholeProcess.settings = settings(max_examples=tries(30, 300), stateful_step_count=40, deadline=None)
