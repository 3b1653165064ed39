"""The audit: is each event what was written, and does it fit? Row by row, without I/O.

A digest covers all of an event but its position, and the digest before it. So it does not only show that an
event was changed; it proves what the event was, where only its version, its process, its place or the digest
itself was changed, and such an event counts as sound. What follows an event that is lost cannot be folded,
but its chain is still held to: one cause is one finding, wherever in the log it lies.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from syncfsm.core.process import Process, apply
from syncfsm.core.pruning import Ranges
from syncfsm.errors import SyncfsmError
from syncfsm.log.checks.findings import Draft, Extent, Finding, Holes, draft, in_order, versions
from syncfsm.log.codec import chain, from_row
from syncfsm.log.protocol import Scanned, StoredEvent

ORPHANS_MAX = 1000
"""Changed events kept in mind, to see which process they belonged to; the first ones."""


class _Doubt:
    """An event that does not chain to the one before it, until the next one says more."""

    def __init__(self, row: StoredEvent, version: int, previous: str, note: Draft) -> None:
        self.row = row
        self.version = version  # the one that was due
        self.previous = previous
        self.note = note


class Stream:
    """What is known of one process while its rows pass by.

    `version`, `digest` and `position` are those of its last row, `began_at` and `fetching_at` the positions
    of its first and of its `FetchingBegan`. `is_sound` says that all of them up to there are as written, or
    `is_mended`: proved to have been so; `process` is their fold.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = 0
        self.known_version = 0  # by the read model, where it knows of more than there is
        self.digest = ""
        self.position = 0
        self.began_at = 0
        self.fetching_at: int | None = None
        self.process: Process | None = None
        self.is_sound = True
        self.is_mended = False
        self.doubt: _Doubt | None = None

    def follows(self, row: StoredEvent) -> bool:
        """Whether a row is the next one, proved by its digest."""
        return row.version == self.version + 1 and chain(self.digest, row) == row.digest

    def move(self, row: StoredEvent) -> None:
        """Go on behind a row, whatever is wrong with it."""
        self.version, self.digest, self.position = row.version, row.digest, row.position
        self.doubt = None
        if row.version == 1:
            self.began_at = row.position
        if row.type == "FetchingBegan":
            self.fetching_at = row.position

    @property
    def sound_version(self) -> int:
        """The last version that is sound, and all before it."""
        return self.process.version if self.process else 0


class Audit:
    """Takes every place of a log in order, and gives back the rows that are proved sound.

    Args:
        has_gaps: See `Auditable.has_gaps`.
        pruned: Where events were pruned: there nothing is missing, and nothing may be.

    Attributes:
        streams: What was found of each process.
        position: The last position seen.
        count: The rows that could be read.
        digest: That of the last of them.
        pruned_events: How many were pruned.
    """

    def __init__(self, *, has_gaps: bool = False, pruned: Ranges | None = None) -> None:
        self._has_gaps = has_gaps
        self._pruned = pruned or Ranges()
        self.streams: dict[str, Stream] = {}
        self.position = 0
        self.count = 0
        self.pruned_events = 0
        self.digest = ""
        self.holes = Holes()
        self._notes: list[Draft] = []
        self._orphans: list[tuple[StoredEvent, Draft]] = []

    def take(self, place: Scanned) -> list[StoredEvent]:
        """Return the rows that this place proves sound: its own as a rule, mended where that is proved."""
        if place.position > self.position + 1 and not self._has_gaps:
            self.miss(place.position - 1)
        if self._pruned.has(place.position):
            words = "it was pruned, and is here again: its log does not take it back"
            self.note(Draft(place.position, None, None, None, words, loses_events=False))
            return []
        self.position = max(self.position, place.position)
        if place.row is None:
            self.holes.misread(place.position, place.problem)
            return []
        self.count += 1
        self.digest = place.row.digest
        return self._link(place.row, place)

    def miss(self, last: int) -> None:
        """Note that the positions from the last one seen to `last` are not there."""
        first, self.position = self.position + 1, last
        for begins, ends in self._pruned.holes(first, last):
            self.holes.miss(begins, ends)

    def stream(self, name: str) -> Stream:
        """Return what is known of a process."""
        return self.streams.setdefault(name, Stream(name))

    def note(self, finding: Draft) -> Draft:
        """Add a finding."""
        self._notes.append(finding)
        return finding

    def findings(self) -> list[Finding]:
        """Return what was found so far, by position."""
        return in_order([*(note.finding() for note in self._notes), *self.holes.findings()])

    def extents(self) -> list[Extent]:
        """Return how much of each process is sound, in the order in which they began."""
        return [
            Extent(
                process=stream.name,
                sound=stream.sound_version,
                stored=max(stream.version, stream.known_version),
                since=stream.process.started_at if stream.process else None,
            )
            for stream in self.streams.values()
        ]

    # ── one row ──────────────────────────────────────────────────────────────────────────────

    def _link(self, row: StoredEvent, place: Scanned) -> list[StoredEvent]:
        """Find where the row belongs; a row that belongs nowhere is a finding."""
        problem = place.problem
        stream = self.streams.get(row.stream) or Stream(row.stream)
        if stream.follows(row):
            if problem:
                self.note(draft(row, problem, loses_events=False))
            return self._accept(stream, row)
        settled = self._settle(stream, row) or self._bring_home(stream, row)
        if settled is not None:
            return settled
        mended = self._mend(stream, row, problem)
        if mended is not None:
            mended[0].is_mended = True
            return self._accept(*mended)
        if place.is_doubtful:
            self.holes.misread(place.position, problem)
        else:
            self._refuse(stream, row, problem)
        return []

    def _accept(self, stream: Stream, row: StoredEvent) -> list[StoredEvent]:
        """Move on behind a row that is as written; return it if all before it are, and it is legal."""
        stream.move(row)
        self.streams.setdefault(stream.name, stream)
        if not stream.is_sound:
            return []
        try:
            stream.process = apply(stream.process, from_row(row))
        except SyncfsmError as error:
            stream.is_sound = False
            self.note(draft(row, f"it is as written, but makes no sense: {error.__cause__ or error}"))
            return []
        return [row]

    def _settle(self, stream: Stream, row: StoredEvent) -> list[StoredEvent] | None:
        """Return the rows that are sound after all, if this one clears up the doubt about the one before."""
        doubt = stream.doubt
        if doubt is None:
            return None
        rows = _as_swapped(doubt, row) or _with_its_digest(doubt, row)
        if rows is None:
            return None
        is_swap = rows[0].digest == row.digest
        doubt.note.problem = (
            f"this event and the one at position {row.position} have changed places"
            if is_swap
            else "its digest was changed; the event itself is as written"
        )
        doubt.note.version, doubt.note.loses_events = doubt.version, False
        stream.is_sound = stream.is_mended = True  # it was sound until the doubt
        return [sound for mended in rows for sound in self._accept(stream, mended)]

    def _bring_home(self, stream: Stream, row: StoredEvent) -> list[StoredEvent] | None:
        """Return the row and the changed one before it, if that is proved to be this process's."""
        for orphan, note in self._orphans:
            home = replace(orphan, stream=row.stream, version=stream.version + 1)
            if row.version == stream.version + 2 and stream.follows(home) and _chains(home.digest, row):
                note.process, note.version, note.loses_events = row.stream, home.version, False
                note.problem = f"the name of its process was changed: it reads {orphan.stream!r}"
                stream.is_mended = True
                return [*self._accept(stream, home), *self._accept(stream, row)]
        return None

    def _mend(self, stream: Stream, row: StoredEvent, problem: str) -> tuple[Stream, StoredEvent] | None:
        """Return the row as its digest proves that it was, with its stream; where one thing was changed."""
        due = replace(row, version=stream.version + 1)
        if stream.follows(due):
            words = f"its version was changed: it reads {row.version}"
            self.note(draft(due, problem or words, loses_events=False))
            return stream, due
        for other in self.streams.values():
            if other.version + 1 == row.version and other.follows(replace(row, stream=other.name)):
                words = f"the name of its process was changed: it reads {row.stream!r}"
                due = replace(row, stream=other.name)
                self.note(draft(due, problem or words, loses_events=False))
                return other, due
        return None

    def _refuse(self, stream: Stream, row: StoredEvent, problem: str) -> None:
        """Note what is wrong with a row that does not chain, and go on behind it."""
        due, position = stream.version + 1, stream.position
        if self._is_after_an_orphan(row) or self._is_after_a_hole(stream, row):
            stream.is_sound = False
            self._go_on(stream, row)
            return
        note = self.note(draft(row, problem or _refusal(due, row)))
        if len(self._orphans) < ORPHANS_MAX:
            self._orphans.append((row, note))
        if row.version < due or (position == 0 and row.version > 1):
            return  # most likely it is another process's: this one goes on without it
        doubt = _Doubt(row, due, stream.digest, note) if stream.is_sound else None
        stream.is_sound = False
        self._go_on(stream, row)
        stream.doubt = doubt

    def _go_on(self, stream: Stream, row: StoredEvent) -> None:
        stream.move(row)
        self.streams.setdefault(stream.name, stream)

    def _is_after_an_orphan(self, row: StoredEvent) -> bool:
        """Whether the row follows a changed one that was taken for another process's, or another version."""
        for orphan, note in self._orphans:
            if orphan.digest != row.digest and chain(orphan.digest, row) == row.digest:
                note.process, note.version = row.stream, row.version - 1
                return True
        return False

    def _is_after_a_hole(self, stream: Stream, row: StoredEvent) -> bool:
        """Whether the versions before this row are those that a hole in the log took."""
        return row.version > stream.version + 1 and self.holes.give(
            stream.name,
            stream.version + 1,
            row.version - 1,
            after=stream.position,
            before=row.position,
        )


def _refusal(due: int, row: StoredEvent) -> str:
    if row.version > due:
        return f"{versions(due, row.version - 1)} missing before it, or its own was changed"
    if row.version < due:
        return f"version {row.version} came again where {due} was due"
    return "it was changed: its digest does not match"


def _as_swapped(doubt: _Doubt, row: StoredEvent) -> tuple[StoredEvent, StoredEvent] | None:
    """Return both rows in their order, if they changed places."""
    first = replace(row, version=doubt.version)
    second = replace(doubt.row, version=doubt.version + 1)
    is_proved = _chains(doubt.previous, first) and _chains(first.digest, second)
    return (first, second) if is_proved else None


def _with_its_digest(doubt: _Doubt, row: StoredEvent) -> tuple[StoredEvent, StoredEvent] | None:
    """Return both rows, if the next one proves that only the digest of the first was changed."""
    if doubt.row.version != doubt.version or row.version != doubt.version + 1:
        return None
    first = replace(doubt.row, digest=chain(doubt.previous, doubt.row))
    return (first, row) if _chains(first.digest, row) else None


def _chains(previous: str, row: StoredEvent) -> bool:
    return chain(previous, row) == row.digest


def audited(places: Iterator[Scanned], audit: Audit) -> Iterator[StoredEvent]:
    """Yield the sound rows of a log while the audit takes it in."""
    for place in places:
        yield from audit.take(place)
