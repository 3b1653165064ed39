"""The table `captures` of a PostgreSQL log: what came from outside, compressed; may be deleted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from syncfsm.core.capture import Captured, Exchange, Forgotten
from syncfsm.core.times import format_time
from syncfsm.errors import ProcessNotFound
from syncfsm.log.postgres.parts import PART, in_parts
from syncfsm.log.postgres.seals import seal
from syncfsm.log.postgres.session import Session

LEVEL = 6
"""zlib's own default: Attio's JSON becomes about a tenth."""

_DELETE = "DELETE FROM {s}.captures WHERE at < %s AND (%s::text IS NULL OR stream = %s)"
_SEALED = """
    SELECT id, digest, stream, version, at, request, as_of, body FROM {s}.captures
    WHERE id > %s ORDER BY id LIMIT %s
"""
_BYTES = "SELECT pg_total_relation_size({captures}::regclass)"


def columns(stream: str, version: int, at: str, exchanges: Sequence[Exchange]) -> tuple[Any, ...]:
    """Return exchanges as columns for the function `append`: requests, moments, bodies and seals."""
    if not exchanges:
        return (None, None, None, None)
    bodies = [zlib.compress(exchange.body, LEVEL) for exchange in exchanges]
    seals = [
        seal((stream, version, at, exchange.request, exchange.as_of, body))
        for exchange, body in zip(exchanges, bodies, strict=True)
    ]
    return [one.request for one in exchanges], [one.as_of for one in exchanges], bodies, seals


class PostgresCaptures:
    """The `Captures` of a log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def captures(self, process_id: str) -> list[Captured]:
        """See `Captures.captures`."""
        sql = "SELECT id, version, request FROM {s}.captures WHERE stream = %s ORDER BY id"
        return [
            Captured(id=id_, version=version, request=request)
            for id_, version, request in self._session.all(sql, (process_id,))
        ]

    def exchange(self, capture_id: int) -> Exchange:
        """See `Captures.exchange`."""
        sql = "SELECT request, as_of, body FROM {s}.captures WHERE id = %s"
        found = self._session.one(sql, (capture_id,))
        if found is None:
            raise ProcessNotFound(f"capture {capture_id} was forgotten meanwhile")
        request, as_of, body = found
        return Exchange(request=request, as_of=as_of, body=zlib.decompress(body))

    def capture_counts(self) -> dict[str, int]:
        """See `Captures.capture_counts`."""
        return dict(self._session.all("SELECT stream, count(*) FROM {s}.captures GROUP BY stream"))

    def forget(self, *, before: datetime, process_id: str | None = None) -> Forgotten:
        """See `Captures.forget`. No query finds what is deleted any more; its bytes are another matter.

        `VACUUM` lets the server use their room again, and gives back what lies at the end. Until something
        else is written there, they are in the server's files, and also in its write-ahead log, its
        standbys and its backups, for as long as these are kept: only its administrator can say how long.
        """
        (bytes_before,) = self._session.one(_BYTES)
        values = (format_time(before), process_id, process_id)
        deleted = self._session.ask(
            lambda connection: connection.execute(self._session.text(_DELETE), values).rowcount
        )
        vacuum = self._session.script("VACUUM (SKIP_LOCKED) {s}.captures")
        self._session.ask(lambda connection: connection.execute(vacuum))
        (bytes_after,) = self._session.one(_BYTES)
        return Forgotten(exchanges=deleted, freed_bytes=max(0, bytes_before - bytes_after))

    def doubts(self) -> Iterator[str]:
        """Yield what is wrong with the rows: they were changed."""
        rows = in_parts(lambda after: self._session.all(_SEALED, (after, PART)))
        for id_, digest, *values in rows:
            if seal(values) != digest:
                yield f"row {id_} of the captures: it was changed: its checksum does not match"
