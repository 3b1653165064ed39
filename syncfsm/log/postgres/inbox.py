"""The table `inbox` of a PostgreSQL log: what webhooks told of, until a process saw to it and longer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b

import msgspec

from syncfsm.core.notices import RECORD_IDS_MAX, Notice, Put, Waiting, first_batch
from syncfsm.core.paging.place import ToldGone
from syncfsm.core.times import format_time
from syncfsm.log.postgres.parts import PART, in_parts
from syncfsm.log.postgres.seals import Column, seal
from syncfsm.log.postgres.session import Session

_RECEIVE = "SELECT {s}.receive(%s, %s, %s, %s, %s, %s, %s, %s)"

_WAITING = """
    SELECT i.id, i.record_ids, failed.id, i.gone FROM {s}.inbox AS i
    LEFT JOIN {s}.processes AS failed ON failed.id = i.process AND failed.state = 'FAILED'
    WHERE i.source = %s AND i.object = %s AND (i.received_at <= %s OR i.received_at > %s)
        AND (i.process IS NULL
            OR i.process IN (SELECT p.id FROM {s}.processes AS p WHERE p.state IN ('CANCELLED', 'FAILED')))
    ORDER BY failed.updated_at NULLS FIRST, failed.id NULLS FIRST, i.id LIMIT %s
"""
"""Null comes first: what no process has tried, before what has failed longest ago."""

WAITING_COUNT = """
    SELECT count(*) FROM {s}.inbox AS i
    WHERE i.process IS NULL
        OR i.process IN (SELECT p.id FROM {s}.processes AS p WHERE p.state IN ('CANCELLED', 'FAILED'))
"""

_CLEAR = """
    DELETE FROM {s}.inbox WHERE received_at < %s
        AND process IN (SELECT id FROM {s}.processes WHERE state = 'COMPLETED')
"""

_SEALED = """
    SELECT id, digest, source, object, key, record_ids, received_at, gone FROM {s}.inbox
    WHERE id > %s ORDER BY id LIMIT %s
"""

_NOTICES_MAX = 10 * RECORD_IDS_MAX
"""The most that are looked at for one process: many may tell of the same records."""

_EVER = "9999"
"""After every time that a log writes, as text."""

_ids = msgspec.json.Decoder(tuple[str, ...])
_gone = msgspec.json.Decoder(tuple[ToldGone, ...] | None)


class PostgresInbox:
    """An `Inbox`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def receive(self, notice: Notice) -> bool:
        """See `Inbox.receive`.

        Whoever sent it is told next that it is kept, and sends it no more. So it must survive a power cut,
        and the server answers only when it does, whatever it is set to for the rest. Where its answer is
        lost, it is told once more: a notice that is there twice is seen to once too often, which is harmless.
        """
        values = _values(notice)
        (is_new,) = self._session.one(_RECEIVE, (self._session.lock_timeout, *values, seal(values)))
        return bool(is_new)

    def waiting(
        self, source: str, object_: str, *, until: datetime | None = None, now: datetime | None = None
    ) -> Waiting:
        """See `Inbox.waiting`."""
        latest, future = (format_time(at) if at else _EVER for at in (until, now))
        rows = self._session.all(_WAITING, (source, object_, latest, future, _NOTICES_MAX))
        return first_batch(
            Put(number, _ids.decode(encoded), failed, _gone.decode(gone))
            for number, encoded, failed, gone in rows
        )

    def clear_inbox(self, before: datetime) -> int:
        """See `Inbox.clear_inbox`."""
        values = (format_time(before),)
        return self._session.ask(
            lambda connection: connection.execute(self._session.text(_CLEAR), values).rowcount
        )

    def doubts(self) -> Iterator[str]:
        """Yield what is wrong with the rows: they were changed."""
        rows = in_parts(lambda after: self._session.all(_SEALED, (after, PART)))
        for id_, digest, *values in rows:
            if seal(values) != digest:
                yield f"row {id_} of the inbox: it was changed: its checksum does not match"


def _values(notice: Notice) -> tuple[Column, ...]:
    ids = msgspec.json.encode(notice.record_ids).decode()
    gone = msgspec.json.encode(notice.gone).decode()
    key = None if notice.key is None else _digest(notice.key)
    return notice.source, notice.object, key, ids, format_time(notice.received_at), gone


def _digest(key: str) -> str:
    """Return what stands for the key of a notice."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()
