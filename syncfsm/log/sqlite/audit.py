"""What verification and export ask of a log in a SQLite file. See `Auditable`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from syncfsm.core.process import Process
from syncfsm.log.model_doubt import JUDGED, model_doubt
from syncfsm.log.protocol import Scanned, Tally
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.pruning.rows import SELECT as SELECT_PRUNINGS
from syncfsm.log.pruning.rows import from_row as pruning_from_row
from syncfsm.log.salvage.images import damages, image_of, one_moment
from syncfsm.log.salvage.remains import scan
from syncfsm.log.sides import DOUBTED, doubt
from syncfsm.log.sqlite.checksums import SEALED, row_doubts
from syncfsm.log.sqlite.connect import applied
from syncfsm.log.sqlite.file import LogFile
from syncfsm.log.sqlite.inbox import WAITING_COUNT
from syncfsm.log.sqlite.pruning import sql
from syncfsm.log.sqlite.shapes import differences


class SqliteAudit:
    """An `Auditable`: it is asked whether the log is sound, and writes nothing.

    Args:
        file: The log's file.
        load: Returns the state of a process by the read model; see `EventStore.load`.
    """

    has_gaps = False

    def __init__(self, file: LogFile, load: Callable[[str], Process]) -> None:
        self._file = file
        self._load = load

    def notices_waiting(self) -> int | None:
        """See `Auditable.notices_waiting`."""
        (count,) = self._file.one(WAITING_COUNT)
        return int(count)

    def projection(self) -> dict[str, int]:
        """See `Auditable.projection`."""
        sql = "SELECT id, version FROM processes WHERE typeof(id) = 'text' AND typeof(version) = 'integer'"
        return dict(self._file.all(sql))  # of other types only where the file is damaged

    def reading(self) -> AbstractContextManager[None]:
        """See `Auditable.reading`."""
        return one_moment(self._file.connection)

    def scan(self) -> Iterator[Scanned]:
        """See `Auditable.scan`: from the bytes of the file, since SQLite does not say what it passes over."""
        with image_of(self._file.connection, self._file.path) as image:
            yield from scan(image)

    def prunings(self) -> list[StoredPruning]:
        """See `Auditable.prunings`."""
        return list(map(pruning_from_row, self._file.all(sql(SELECT_PRUNINGS))))

    def position_given(self) -> int | None:
        """See `Auditable.position_given`."""
        return (self._file.one("SELECT seq FROM sqlite_sequence WHERE name = 'events'") or (0,))[0]

    def tally(self) -> Tally | None:
        """See `Auditable.tally`."""
        found = self._file.one("SELECT events, position, digest FROM tally")
        if found is None:
            return None if "m007_guards" not in self._applied() else Tally(events=0, position=0, digest="")
        events, position, digest = found
        return Tally(events=events, position=position, digest=digest)

    def doubts(self) -> list[str]:
        """See `Auditable.doubts`: rows, too, by the bytes of the file."""
        with self._file.translated():
            found = differences(self._file.connection, self._applied())
            columns = {table: self._columns(table) for table in SEALED}
            sealed = {table: names for table, names in columns.items() if "digest" in names}
            with image_of(self._file.connection, self._file.path) as image:
                return [*found, *row_doubts(image, sealed)]

    def side_doubts(self) -> list[str]:
        """See `Auditable.side_doubts`."""
        return list(map(doubt, self._file.all(DOUBTED.format(s=""))))

    def _applied(self) -> set[str]:
        return applied(self._file.connection)

    def _columns(self, table: str) -> list[str]:
        sql = "SELECT name FROM pragma_table_info(?, 'main')"
        return [name for (name,) in self._file.all(sql, (table,))]

    def damages(self) -> list[str]:
        """See `Auditable.damages`."""
        return damages(self._file.connection, self._file.path)

    def model_doubt(self, process: Process, *, position: int, fetching_position: int | None) -> str | None:
        """See `Auditable.model_doubt`."""
        sql = f"SELECT {JUDGED} FROM processes WHERE id = ?"  # noqa: S608 - ours
        found = self._file.one(sql, (process.id,))
        return model_doubt(
            found, process, position=position, fetching_position=fetching_position, load=self._load
        )
