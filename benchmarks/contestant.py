"""What is measured of an event store, and our own answer to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Literal, Protocol

from benchmarks.workload import Append
from syncfsm import open_log
from syncfsm.core.process import fold


class Contestant(Protocol):
    """An event store that holds one sync in one SQLite file."""

    name: str

    def __init__(self, folder: Path) -> None:
        """Open the file in a folder, or make it."""
        ...

    def write(self, appends: Iterable[Append]) -> float:
        """Append a sync, a transaction for each append; return the seconds that encoding and writing took."""
        ...

    def replay(self) -> int:
        """Read all events from the file and fold them; return the records fetched, by the folded state."""
        ...

    def first_state(self) -> int:
        """Open the file anew and load the state by its snapshot; return the records fetched."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Syncfsm:
    """This library. `synchronous` is FULL here, since that is what the peers write with."""

    name = "syncfsm"
    synchronous: Literal["NORMAL", "FULL"] = "FULL"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "syncfsm.db"
        self._log = open_log(self._path, synchronous=self.synchronous)

    def write(self, appends: Iterable[Append]) -> float:
        """See `Contestant`."""
        spent_s, version = 0.0, 0
        for recorded, after in appends:
            began = perf_counter()
            self._log.append(recorded, expected_version=version, after=after)
            spent_s += perf_counter() - began
            version = after.version
        return spent_s

    def replay(self) -> int:
        """See `Contestant`."""
        process = fold(None, self._log.read("benchmark"))
        assert process is not None, "a sync was written"
        return process.progress.fetched

    def first_state(self) -> int:
        """See `Contestant`."""
        with open_log(self._path, read_only=True) as log:
            return log.load("benchmark").progress.fetched

    def close(self) -> None:
        """See `Contestant`."""
        self._log.close()


class SyncfsmNormal(Syncfsm):
    """This library as it writes by default."""

    name = "syncfsm, synchronous=NORMAL"
    synchronous = "NORMAL"
