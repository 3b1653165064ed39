"""Import: the events of an export, with the digests they had, into a log; all of them or none.

Nothing is believed: each event has to chain, to decode, to hold what one can hold and to be legal where it
stands, as if it had just been decided. What the log has already must be the same, event by event; then only
what follows is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain as chain_rows
from itertools import islice

from syncfsm.core.bounds import is_moment, misfit
from syncfsm.core.describe import plural
from syncfsm.core.events import Recorded
from syncfsm.core.process import Process, apply
from syncfsm.core.times import format_time
from syncfsm.core.value import Value
from syncfsm.errors import ActiveSync, CorruptLog, LogError, SyncfsmError
from syncfsm.log.codec import chain, from_row
from syncfsm.log.protocol import EventLog, StoredEvent
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning.rows import unchained
from syncfsm.log.transfer.lines import (
    FORMAT,
    FORMAT_VERSION,
    AnyLine,
    EndLine,
    EventLine,
    HeaderLine,
    PruningLine,
    stored,
)
from syncfsm.outside.decoding import Decoder, Undecodable


class Imported(Value, frozen=True):
    """What came of an import.

    Attributes:
        processes: The processes in the export.
        events: The events written.
        known: The events that the log had already.
        redacted: Whether the export is a redacted one.
    """

    processes: int
    events: int
    known: int
    redacted: bool


class _Stream:
    """One process while its events come in; `known` are the digests of those that the log has."""

    def __init__(self, known: list[str]) -> None:
        self.known = known
        self.digest = ""
        self.process: Process | None = None

    def take(self, row: StoredEvent) -> None:
        """Go on behind an event, or refuse it with words that end a sentence."""
        if chain(self.digest, row) != row.digest:
            raise CorruptLog("its digest does not match: it was changed, or the one before it is missing")
        recorded = from_row(row)
        problem = _misfit(row, recorded) or misfit(self.process, recorded.event)
        if problem is not None:
            raise CorruptLog(problem)
        self.process = apply(self.process, recorded)
        self.digest = row.digest


def _misfit(row: StoredEvent, recorded: Recorded) -> str | None:
    """Return what is wrong with the envelope of an event, which is text and numbers in every log."""
    if not row.stream:
        return "its process has no name"
    if not is_moment(recorded.at) or format_time(recorded.at) != row.at:
        return f"it was at {row.at!r}: a log says times as 2026-01-31T09:30:00.000000Z"
    return None


class Import:
    """One import into a log. `run` does it; nothing else is to be called."""

    def __init__(self, log: EventLog, lines: Iterable[bytes]) -> None:
        self._log = log
        self._lines = enumerate(lines, start=1)
        self._streams: dict[str, _Stream] = {}
        self._written = 0
        self._known = 0
        self._is_whole = False
        self._prunings: list[StoredPruning] = []
        self._is_pruned = bool(log.pruned_at())

    def run(self) -> Imported:
        """Read the lines and write what the log does not have. See `import_lines` for what it raises."""
        header = header_of(next(self._lines, (1, b""))[1])
        rows = self._rows()
        first = list(islice(rows, 1))  # the prunings come before it
        if self._prunings:
            self._check_prunings()
        self._log.restore(chain_rows(first, rows), self._states, () if self._is_pruned else self._prunings)
        return Imported(
            processes=len(self._streams),
            events=self._written,
            known=self._known,
            redacted=header.redacted,
        )

    def _rows(self) -> Iterator[StoredEvent]:
        """Yield the events that the log does not have, each checked."""
        for number, text in self._lines:
            match self._decoded(number, text):
                case PruningLine() as line:
                    self._prunings.append(StoredPruning(line.pruning, line.digest))
                case EventLine() as line:
                    yield from self._checked(number, stored(line))
                case EndLine() as end:
                    self._end(number, end)
                case HeaderLine():
                    raise CorruptLog(f"line {number}: a second header; import one export at a time")
        if not self._is_whole:
            raise CorruptLog("the export was cut short: it has no last line. Nothing was written.")

    def _decoded(self, number: int, text: bytes) -> AnyLine:
        if self._is_whole:
            raise CorruptLog(f"line {number}: something follows the end. Nothing was written.")
        try:
            return _lines.decode(text)
        except Undecodable as error:
            words = f"line {number} is no line of an export: {error}"
            raise CorruptLog(f"{words}. Nothing was written.") from error

    def _end(self, number: int, end: EndLine) -> None:
        came = self._written + self._known
        if end.events != came:
            words = f"the export had {plural(end.events, 'event')}, and {came} came"
            raise CorruptLog(f"line {number}: {words}. Nothing was written.")
        self._is_whole = True

    def _checked(self, number: int, row: StoredEvent) -> Iterator[StoredEvent]:
        stream = self._streams.get(row.stream) or self._opened(row.stream)
        try:
            stream.take(row)
        except SyncfsmError as error:
            words = f"line {number} (process {row.stream}, version {row.version}): {error.__cause__ or error}"
            raise CorruptLog(f"{words}. Nothing was written.") from error
        if row.version > len(stream.known):
            self._written += 1
            yield row
        elif stream.known[row.version - 1] == row.digest:
            self._known += 1
        else:
            raise LogError(
                f"process {row.stream} is in this log already, and its version {row.version} is another "
                "event there: import into a new log. Nothing was written."
            )

    def _check_prunings(self) -> None:
        """Let what was pruned be told as it was, and only of the log that it was pruned from.

        Raises:
            CorruptLog: It is not what was written.
            LogError: The log has other events, or others were pruned from it.
        """
        for problem in unchained(self._prunings):
            raise CorruptLog(f"{problem}. Nothing was written.")
        is_new = not self._is_pruned and not self._log.last_position()
        if not is_new and self._log.prunings() != self._prunings:
            raise LogError(
                "this export is of a log from which events were pruned, and says so of that log alone: "
                "import it into a new one. Nothing was written."
            )

    def _opened(self, process_id: str) -> _Stream:
        pruning = self._log.pruning_of(process_id) if self._is_pruned else None
        if pruning is not None:
            raise LogError(
                f"process {process_id} was pruned from this log, which does not take it back: import into a "
                "new log. Nothing was written."
            )
        known = [row.digest for row in self._log.stored_events(process_id)]
        return self._streams.setdefault(process_id, _Stream(known))

    def _states(self) -> list[Process]:
        """Return the states to write: those of processes that are new, or go on."""
        grown = {
            name: stream.process
            for name, stream in self._streams.items()
            if stream.process is not None and stream.process.version > len(stream.known)
        }
        _check_active(self._log, grown)
        return list(grown.values())


def header_of(line: bytes) -> HeaderLine:
    """Return the header that is the first line of an export.

    Raises:
        LogError: It is none, or one of a newer syncfsm.
    """
    header = _headers.decoded(line)
    if header is None or header.format != FORMAT:
        raise LogError("this is no export of a syncfsm log: `syncfsm log export LOG` makes one")
    if header.version > FORMAT_VERSION:
        raise LogError("this export was written by a newer syncfsm: upgrade to read it")
    return header


def _check_active(log: EventLog, states: Mapping[str, Process]) -> None:
    """Let no two syncs of one source object be active."""
    active: dict[tuple[str, str], str] = {}
    for process in states.values():
        if not process.is_active:
            continue
        key = (process.source, process.object)
        there = log.active(*key)
        other = there.id if there and there.id not in states else active.get(key)
        if other is not None:
            raise ActiveSync(
                f"processes {other} and {process.id} would both be active syncs of {process.source} "
                f"{process.object}, and a log has one at a time: import one alone (`syncfsm log export LOG "
                f"{process.id}` exports one), go on with it or cancel it, then import the other. "
                "Nothing was written.",
                other,
            )
        active[key] = process.id


_lines: Decoder[AnyLine] = Decoder(HeaderLine | PruningLine | EventLine | EndLine)
_headers = Decoder(HeaderLine)


def import_lines(log: EventLog, lines: Iterable[bytes]) -> Imported:
    """Write the events of an export into a log, in one transaction; those it has already stay.

    Args:
        log: Where to.
        lines: The lines of the export, with or without their newlines.

    Raises:
        CorruptLog: An event does not chain, decode or fit, or the export was cut short.
        LogError: It is no export, or the log has other events of the same process.
        ActiveSync: A second active sync of a source object would come of it.
        LogUnwritable: The log cannot be written now.

    Whatever is raised, nothing was written.
    """
    return Import(log, lines).run()
