"""Contacts in a JSON Lines file: one line for each (source, external id).

New and changed contacts are appended, page by page; where a contact has more than one line, the last one
counts. One that is deleted has a last line that says so: `{"external_id":…,"source":…,"deleted":true}`.
`finish` leaves one line for each that is not, by writing the file anew beside the old one and putting it in
its place. A line that a crash cut short is dropped when the file is next opened. One process at a time
writes: the file is held for as long as the sink is open. A small file beside it says who the sink is and how
far it got: see jsonl_marks.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from syncfsm.core.blanking import Blanking, blanking_of
from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.marks import Mark
from syncfsm.files.file_lock import HeldElsewhere, open_held
from syncfsm.files.in_place import InPlace
from syncfsm.files.paths import file_name
from syncfsm.files.private import rewritten
from syncfsm.items.contact import Contact
from syncfsm.outside.decoding import Decoder, Undecodable
from syncfsm.sinks.jsonl_file import NotInPlace, advice, check_access, write_all
from syncfsm.sinks.jsonl_marks import MarkFile
from syncfsm.sinks.lines import Line, digest, said, to_line
from syncfsm.sinks.protocol import NOT_THERE, UpsertResult
from syncfsm.sinks.same_sink import replaced

_Key = tuple[str, str]


class _Keyed(msgspec.Struct):
    external_id: str
    source: str
    deleted: bool = False


_keys = Decoder(_Keyed)

_OPENING = b'{"external_id":'
"""How every line of this sink begins."""


class JsonlSink:
    """Contacts, one JSON object a line.

    Args:
        path: The file, made if it is missing. It must hold lines of this sink only.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = f"jsonl:{file_name(self.path)}"
        self._opened: BinaryIO | None = None
        self._place: InPlace | None = None
        self._beside = MarkFile(self.path)
        self._lines: dict[_Key, Line] = {}
        self._has_stale_lines = False

    async def check(self) -> dict[str, str] | Failure:
        """Check that the file can be appended to and that its lines are contacts."""
        try:
            self._file()
            self._beside.name()
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)
        return {"sink": self.name}

    async def inspect(self) -> dict[str, str] | Failure:
        """See `Inspectable.inspect`."""
        try:
            return self._looked_at()
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)

    async def is_empty(self) -> bool:
        """See `Emptiable.is_empty`."""
        try:
            return self.path.stat().st_size == 0
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _looked_at(self) -> dict[str, str]:
        if not self.path.exists():
            check_access(self.path.absolute().parent)
            return {"sink": self.name, "file": NOT_THERE}
        glance = JsonlSink(self.path)
        glance._index()
        check_access(self.path)
        return {"sink": self.name, "contacts": str(len(glance._lines))}

    async def upsert(self, items: Sequence[Contact]) -> UpsertResult | Failure:
        """Append a line for each contact that is new or changed; all of them, or none."""
        try:
            return self._append(items)
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)

    async def would_blank(self, items: Sequence[Contact]) -> Blanking | Failure:
        """See `Foretelling`."""
        try:
            self._file()
            there = {key: item for item in items if (key := (item.external_id, item.source)) in self._lines}
            return blanking_of((self._stored(key), said(self._line(item))) for key, item in there.items())
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)

    def sink_id(self) -> str | None:
        """See `Marked.sink_id`."""
        return self._beside.sink_id()

    def marks(self) -> tuple[Mark, ...]:
        """See `Marked.marks`."""
        return self._beside.marks()

    async def upsert_marked(self, items: Sequence[Contact], mark: Mark) -> UpsertResult | Failure:
        """See `Marked.upsert_marked`; the mark comes after the lines, and is behind them after a crash."""
        result = await self.upsert(items)
        return result if isinstance(result, Failure) else await self.set_mark(mark) or result

    async def set_mark(self, mark: Mark) -> Failure | None:
        """See `Marked.set_mark`."""
        try:
            self._beside.set(mark)
        except OSError as error:
            return self._failure(error)
        return None

    async def delete(self, source: str, record_ids: Sequence[str]) -> int | Failure:
        """Append a line for each contact that is deleted; all of them, or none. See `Deleting`."""
        try:
            return self._append_deletions(source, record_ids)
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)

    async def known(self, source: str) -> frozenset[str] | Failure:
        """Return the external ids of the contacts that are not deleted. See `Enumerable`."""
        try:
            self._file()
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)
        return frozenset(external_id for external_id, of in self._lines if of == source)

    async def finish(self) -> Failure | None:
        """Leave one line for each contact, on the disk."""
        try:
            self._compact()
            self._check_in_place()
        except OSError as error:
            return self._failure(error)
        except Undecodable as error:
            return self._foreign(error)
        return None

    async def aclose(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = self._place = None

    def _file(self) -> BinaryIO:
        """Return the file, at its end; read through when it is first opened."""
        if self._opened is None:
            file = open_held(self.path)
            try:
                end = self._index()
                if end < file.seek(0, os.SEEK_END):
                    file.truncate(end)
            except BaseException:
                file.close()
                raise
            self._opened, self._place = file, InPlace(self.path)
        return self._opened

    def _check_in_place(self) -> None:
        """Raise if the file that is open is not the one at its path, and leave it, so that that is opened."""
        if self._place is not None and self._opened is not None and not self._place.is_kept():
            self._opened.close()
            self._opened = self._place = None
            raise NotInPlace

    def _add(self, file: BinaryIO, data: bytes) -> None:
        """Append to the file that is open, if that is where it is looked for, before and afterwards."""
        self._check_in_place()
        write_all(file, data)
        self._check_in_place()

    def _index(self) -> int:
        """Learn what the file holds, and return where its last whole line ends.

        Raises:
            Undecodable: A line is no contact, or the last one cannot be the beginning of one.
        """
        self._lines = {}
        self._has_stale_lines = False
        end = 0
        with self.path.open("rb") as lines:
            for line in _whole_lines(lines):
                keyed = _keys.decode(line)
                key = _key(keyed)
                self._has_stale_lines |= keyed.deleted or key in self._lines
                self._lines[key] = Line(digest(line), end, len(line))
                if keyed.deleted:
                    del self._lines[key]
                end += len(line)
            lines.seek(end)
            _check_beginning(lines.read(len(_OPENING)))
        return end

    def _append(self, items: Sequence[Contact]) -> UpsertResult:
        file = self._file()
        lines = {(item.external_id, item.source): self._line(item) for item in items}
        changed = {
            key: line
            for key, line in lines.items()
            if key not in self._lines or self._lines[key].digest != digest(line)
        }
        created = sum(key not in self._lines for key in changed)
        place = file.seek(0, os.SEEK_END)
        self._add(file, b"".join(changed.values()))
        for key, line in changed.items():
            self._lines[key] = Line(digest(line), place, len(line))
            place += len(line)
        self._has_stale_lines |= created < len(changed)
        return UpsertResult(
            created=created, updated=len(changed) - created, unchanged=len(lines) - len(changed)
        )

    def _line(self, item: Contact) -> bytes:
        key = (item.external_id, item.source)
        return to_line(item, self._stored(key) if item.unknown and key in self._lines else {})

    def _stored(self, key: _Key) -> dict[str, Any]:
        """Return what the file says of a contact, by field."""
        line, file = self._lines[key], self._file()
        file.seek(line.place)
        return said(file.read(line.length))

    def _append_deletions(self, source: str, record_ids: Sequence[str]) -> int:
        file = self._file()
        deleted = [key for key in dict.fromkeys((id_, source) for id_ in record_ids) if key in self._lines]
        lines = (_Keyed(external_id=id_, source=of, deleted=True) for id_, of in deleted)
        self._add(file, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        for key in deleted:
            del self._lines[key]
        self._has_stale_lines |= bool(deleted)
        return len(deleted)

    def _compact(self) -> None:
        file = self._file()
        if not self._has_stale_lines:
            return
        self._check_in_place()
        with self.path.open("rb") as lines, rewritten(self.path) as out:
            contacts = ((_keys.decode(line), line) for line in _whole_lines(lines))
            last = {_key(contact): (contact, line) for contact, line in contacts}
            out.writelines(line for contact, line in last.values() if not contact.deleted)
            out.flush()
            self._beside.also_of(Path(out.name))
        file.close()
        self._opened = self._place = None

    def _failure(self, error: OSError) -> Failure:
        if isinstance(error, HeldElsewhere):
            return Failure(
                kind=FailureKind.LOCKED,
                message=f"the sink {self.name} is written by another process just now.",
            )
        if isinstance(error, NotInPlace):
            return replaced(self.name)
        return Failure(
            kind=FailureKind.UNWRITABLE, message=f"the sink {self.name} cannot be written: {advice(error)}."
        )

    def _foreign(self, error: Undecodable) -> Failure:
        return Failure(
            kind=FailureKind.FOREIGN,
            message=f"the sink {self.name} holds a line that is no contact ({error}); name another file.",
        )


def _check_beginning(cut: bytes) -> None:
    """Refuse a last line without an end that is not the beginning of one of ours: it is nothing to drop.

    After a power cut, zeros may stand where bytes were still to come.

    Raises:
        Undecodable: It is another program's.
    """
    if not _OPENING.startswith(cut.rstrip(b"\0")):
        raise Undecodable("its last line has no end and is not the beginning of one")


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    return (line for line in file if line.endswith(b"\n"))


def _key(keyed: _Keyed) -> _Key:
    return keyed.external_id, keyed.source
