"""An incident, as data: what happened to one process, step by step, without anything of whom it happened to.

A step stands where the process stood: behind so many delivered pages, at one action. It says what was unusual
about the action, a failure, a crash, rows that had moved; what is not mentioned goes well. Steps are taken in
their order, each at the next time its action is due on its page, so that one may be deleted, or a limit
raised, without the others moving to another place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from syncfsm.core.events import Mode
from syncfsm.core.failure import FailureKind
from syncfsm.core.options import Options
from syncfsm.core.paging.pages import PageRequest

Count = Annotated[int, msgspec.Meta(ge=0)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]
ActionPoint = Literal["check", "fetch", "deliver", "finish", "resume"]
Happening = Literal["crash", "cancelled", "end", "unordered", "ties", "unasked"]


class IncidentOptions(Options, frozen=True, omit_defaults=True):
    """The options of a sync, of which a file need only name what differs from the defaults."""

    def plain(self) -> Options:
        """Return them as events carry them."""
        return Options(**{name: getattr(self, name) for name in Options.__struct_fields__})


def incident_options(options: Options) -> IncidentOptions:
    """Return the options of a sync as an incident holds them."""
    usual = Options()
    fields = {name: getattr(options, name) for name in Options.__struct_fields__}
    return IncidentOptions(**{name: value for name, value in fields.items() if value != getattr(usual, name)})


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is unusual about one action of the engine.

    Attributes:
        page: How many pages are delivered before it.
        action: Which action it strikes: `check`, `fetch`, `deliver`, `finish`; or `resume`, where somebody
            lets the failed sync go on.
        after: How many times the action goes well first, on this page, since the step before.
        fails: The kind of failure that comes of it.
        wait_s: How long the engine then waits, seconds; where it is missing, as long as backoff says.
        happens: What else comes of it: the engine dies by a `crash`, somebody has `cancelled` the sync, the
            run comes to its `end`, the rows come `unordered`, or all as `ties`, or one comes `unasked`.
        gone: Rows before the cursor that went away; in a retry of rejects, records that are no longer there.
        came: Rows that came before the cursor.
        next_gone: Rows that went away from where the page begins, the peek first.
        next_came: Rows that came there.
        left: Rows at the end that went away.
        joined: Rows that came at the end.
        nameless: Rows of the page that come without an id or a place.
        malformed: Rows of the page that cannot be decoded.
        twice: Rows that come a second time.
        nameless_peek: Whether the row after the page comes without its id.
        tied: How many rows, up to the last one taken, share its sort key.
        shuffled: Whether rows that tie have no fixed order, from here on; as it was if it is missing.
        refused: Records of the page that the sink, or the transform, rejects.
        offset: Where the page began, if that is not where the one that was due did: it was asked for ahead.
        limit: How many rows were then asked for.
        followed: Whether rows from beyond the page had come ahead, though it had fewer than were asked for.
        page_size: The page size from here on, for a `resume`; as it was if it is missing.
        options: The options from here on, for a `resume`; as they were if they are missing.
    """

    page: Count
    action: ActionPoint
    after: Count = 0
    fails: FailureKind | None = None
    wait_s: Wait | None = None
    happens: Happening | None = None
    gone: Count = 0
    came: Count = 0
    next_gone: Count = 0
    next_came: Count = 0
    left: Count = 0
    joined: Count = 0
    nameless: Count = 0
    malformed: Count = 0
    twice: Count = 0
    nameless_peek: bool = False
    tied: Count = 0
    shuffled: bool | None = None
    refused: Count = 0
    offset: Count | None = None
    limit: Count | None = None
    followed: bool = False
    page_size: Count | None = None
    options: IncidentOptions | None = None

    def asked(self, due: PageRequest) -> PageRequest:
        """Return what was asked for, where this was due."""
        if self.offset is None or self.limit is None:
            return due
        return msgspec.structs.replace(due, offset=self.offset, limit=self.limit)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is unusual about it."""
        return self == Step(page=self.page, action=self.action, after=self.after)

    def names(self) -> list[str]:
        """Return what went wrong, in single words, to be counted."""
        fields = ("refused", "nameless", "malformed", "twice")
        named = [name for name in fields if getattr(self, name)]
        return [*filter(None, (self.fails, self.happens)), *named]


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happened to one process.

    Attributes:
        mode: `rejects` for a retry of rejects, of as many records as the scenario has people; `ongoing` for a
            sync of as many that are new. Nobody is ever gone, so that what webhooks tell of is no incident.
        options: The rules and limits of the sync, where they differ from the defaults.
        steps: What was unusual, in order.
    """

    mode: Mode = "initial"
    options: IncidentOptions = IncidentOptions()
    steps: tuple[Step, ...] = ()


class Script:
    """The steps of an incident, taken one after the other."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.taken: list[Step] = []
        self._left = list(steps)
        self._passed = 0

    def next(self, page: int, action: ActionPoint) -> Step | None:
        """Return the step for an action that is due behind so many pages, or `None` if it goes well."""
        while self._left and self._is_over(self._left[0], page, action):
            self._drop()
        step = self._left[0] if self._left else None
        if step is None or (step.page, step.action) != (page, action):
            return None
        if self._passed < step.after:
            self._passed += 1
            return None
        self._drop()
        self.taken.append(step)
        return step

    def _is_over(self, step: Step, page: int, action: ActionPoint) -> bool:
        """Whether a step's place has passed: by its page, or since what failed there no longer does."""
        is_needless = step.action == "resume" and action != "resume" and step.page == page
        return step.page < page or is_needless

    def _drop(self) -> None:
        del self._left[0]
        self._passed = 0
