"""Opening a log to audit it, however damaged: where SQLite refuses the file, what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from syncfsm.errors import LogError, LogUnwritable
from syncfsm.files.paths import path_in
from syncfsm.log import open_log
from syncfsm.log.protocol import Auditable, Scanned
from syncfsm.log.protocol.stored import StoredPruning
from syncfsm.log.refusals import NewerLog
from syncfsm.log.salvage import remains
from syncfsm.log.salvage.btree import PAGE_BYTES
from syncfsm.log.salvage.images import file_image, shortfall
from syncfsm.postgres.driver import is_postgres

if TYPE_CHECKING:
    from syncfsm.core.process import Process


def open_audit(url: str | Path) -> AbstractContextManager[Auditable]:
    """Open a log for reading, or what is left of it where it is a file that SQLite refuses.

    Raises:
        ConfigurationError, LogError: As `open_log`; also where nothing says that the file ever was a log.
    """
    if is_postgres(url):
        return open_log(url, read_only=True)  # what is left of a server's files is the server's to read
    path = path_in(url)
    try:
        return open_log(url, read_only=True)
    except (NewerLog, LogUnwritable):
        raise
    except LogError as error:
        left = Remains(path, str(error)) if Path(path).is_file() else None
        if left is None or not left.was_log:
            raise
        return nullcontext(left)


class Remains:
    """A log that cannot be opened, read from the bytes of its file. An `Auditable`."""

    has_gaps = False

    def __init__(self, path: str, why: str) -> None:
        self._path = path
        self._why = why
        self._page_bytes = next(filter(self._has_events, (None, *PAGE_BYTES)), None)

    @property
    def was_log(self) -> bool:
        """Whether there are events in it, or so little of a SQLite file that they may have been cut off."""
        with file_image(self._path) as image:
            is_cut = image.is_sqlite and image.pages_missing > 0
            return is_cut or not image.page_count or image.is_stump or self._has_events(self._page_bytes)

    def reading(self) -> AbstractContextManager[None]:
        """See `Auditable.reading`: nobody can write to it."""
        return nullcontext()

    def scan(self) -> Iterator[Scanned]:
        """See `Auditable.scan`."""
        with file_image(self._path, self._page_bytes) as image:
            yield from remains.scan(image)

    def prunings(self) -> list[StoredPruning]:
        """See `Auditable.prunings`."""
        with file_image(self._path, self._page_bytes) as image:
            return remains.prunings(image)

    def position_given(self) -> int | None:
        """See `Auditable.position_given`."""
        with file_image(self._path, self._page_bytes) as image:
            return remains.position_given(image)

    def tally(self) -> None:
        """See `Auditable.tally`: too much is wrong already for it to matter."""

    def doubts(self) -> list[str]:
        """See `Auditable.doubts`: likewise."""
        return []

    def side_doubts(self) -> list[str]:
        """See `Auditable.side_doubts`: likewise."""
        return []

    def damages(self) -> list[str]:
        """See `Auditable.damages`."""
        with file_image(self._path, self._page_bytes) as image:
            return [shortfall(image) or self._why]

    def notices_waiting(self) -> int | None:
        """See `Auditable.notices_waiting`."""
        return None

    def projection(self) -> dict[str, int]:
        """See `Auditable.projection`."""
        with file_image(self._path, self._page_bytes) as image:
            return remains.projection(image)

    def model_doubt(
        self,
        process: Process,  # noqa: ARG002 - it cannot be asked
        *,
        position: int,  # noqa: ARG002 - likewise
        fetching_position: int | None,  # noqa: ARG002 - likewise
    ) -> str | None:
        """See `Auditable.model_doubt`."""
        return None

    def _has_events(self, page_bytes: int | None) -> bool:
        with file_image(self._path, page_bytes) as image:
            return any(place.row is not None for place in remains.scan(image))
