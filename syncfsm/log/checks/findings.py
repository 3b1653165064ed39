"""What an audit finds: one finding for one cause, told in words. Pure.

A missing event shows twice, as a gap in the positions and as a gap in the versions of its process. The two
are brought together here: a *hole* in the log, and the versions that it took.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from syncfsm.core.describe import plural
from syncfsm.core.value import Value
from syncfsm.log.protocol import StoredEvent


class Finding(Value, frozen=True):
    """Something wrong, and where.

    Attributes:
        position: The first place it concerns; null where the read model or the whole log is meant.
        process: The process, as far as it is known.
        version: The first version of it that is concerned.
        type: The type of the event, where it can be read.
        problem: What is wrong, in words.
        loses_events: Whether an export has to leave events out because of it.
    """

    position: int | None
    process: str | None
    version: int | None
    problem: str
    type: str | None = None
    loses_events: bool = False


@dataclass
class Draft:
    """A finding that the rows to come may still make clearer."""

    position: int | None
    process: str | None
    version: int | None
    type: str | None
    problem: str
    loses_events: bool = True

    def finding(self) -> Finding:
        """Return it as it stands."""
        return Finding(
            position=self.position,
            process=self.process,
            version=self.version,
            type=self.type,
            problem=self.problem,
            loses_events=self.loses_events,
        )


def draft(row: StoredEvent, problem: str, *, loses_events: bool = True) -> Draft:
    """Return a finding about a row."""
    return Draft(
        position=row.position,
        process=row.stream,
        version=row.version,
        type=row.type or None,
        problem=problem,
        loses_events=loses_events,
    )


@dataclass
class Hole:
    """Positions `first` to `last` where no event can be read, and whose events they were.

    `is_missing` says that nothing is there; otherwise something is, and no event can be made of it.
    """

    first: int
    last: int
    why: str
    is_missing: bool
    owners: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many of the positions have no owner yet."""
        return self.last - self.first + 1 - sum(last - first + 1 for _, first, last in self.owners)

    def finding(self) -> Finding:
        """Return what is missing here."""
        process, version = self.owners[0][:2] if self.owners else (None, None)
        gone = plural(self.last - self.first + 1, "event")
        many = f"{gone}, positions {self.first} to {self.last}: " if self.last > self.first else ""
        first = "the first of them: " if many and not self.is_missing else ""
        return Finding(
            position=self.first,
            process=process,
            version=version,
            problem=f"{many}{first}{self.why}{self._owned()}",
            loses_events=True,
        )

    def _owned(self) -> str:
        if self.first == self.last or not self.owners:
            return ""
        return "; " + ", ".join(
            f"{versions(first, last)} of process {who}" for who, first, last in self.owners
        )


def versions(first: int, last: int) -> str:
    """Return `version 4`, or `versions 4 to 6`."""
    return f"version {first}" if first == last else f"versions {first} to {last}"


class Holes:
    """The places of a log where events are missing or cannot be read, in order."""

    def __init__(self) -> None:
        self._holes: list[Hole] = []

    def miss(self, first: int, last: int) -> None:
        """Remember that nothing is at these positions."""
        why = "missing" if last > first else f"position {first} is missing"
        self._holes.append(Hole(first, last, why, is_missing=True))

    def misread(self, position: int, why: str) -> None:
        """Remember that nothing can be made of what is at this position; a damaged page is one hole."""
        before = self._holes[-1] if self._holes else None
        if before is not None and not before.is_missing and before.last == position - 1:
            before.last = position
        else:
            self._holes.append(Hole(position, position, why, is_missing=False))

    def give(self, process: str, first: int, last: int, *, after: int, before: int) -> bool:
        """Say whose versions are missing between two positions; return whether there was a hole for them."""
        is_known = False
        for hole in self._holes:
            if hole.first > after and hole.last < before and hole.room and first <= last:
                taken = min(hole.room, last - first + 1)
                hole.owners.append((process, first, first + taken - 1))
                first, is_known = first + taken, True
        return is_known

    def findings(self) -> list[Finding]:
        """Return one finding for each hole."""
        return [hole.finding() for hole in self._holes]


def in_order(findings: list[Finding]) -> list[Finding]:
    """Return the findings by position; those of no position last."""
    return sorted(findings, key=lambda finding: (finding.position is None, finding.position or 0))


@dataclass(frozen=True)
class Extent:
    """How much of a process is sound.

    Attributes:
        sound: The last version that is as it was written, and so are all before it.
        stored: The last version that there is, or was.
        since: When the process began, null if that cannot be read.
    """

    process: str
    sound: int
    stored: int
    since: datetime | None = None
