"""Whose turn it is, where work on a log in PostgreSQL is handed out by a queue that is not ours.

One account is worked on by one slice at a time, since its limits are those of its key. Its turn is a lock of
the session, the very one that workers hold (`queue/turns.py`): it ends when it is given back, and with
whoever has it. A log in a file has none: whoever runs there has to see to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from syncfsm.log.protocol import EventLog
from syncfsm.postgres.driver import is_postgres

if TYPE_CHECKING:
    from syncfsm.log.postgres.store import PostgresLog
    from syncfsm.postgres.connection import Connection

_KEY = "hashtextextended('syncfsm account ' || current_schema() || ' ' || {account}, 0)"
"""The number of an account's lock, in the schema of its log; whoever holds a turn must hold the same."""

LOCK = f"pg_try_advisory_lock({_KEY})".format(account="%(account)s")
UNLOCK = f"pg_advisory_unlock({_KEY})".format(account="%(account)s")

_TAKE = f"SELECT {LOCK}, pg_backend_pid()"
_GIVE_BACK = f"SELECT {UNLOCK} FROM pg_backend_pid() AS session WHERE session = %(session)s"  # noqa: S608
_HELD = f"""
WITH held AS MATERIALIZED (
    SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT account FROM unnest(%s::text[]) AS account
WHERE {_KEY.format(account="account")} IN (SELECT key FROM held)
"""  # noqa: S608 - all of it is ours


@contextmanager
def turn_of(log: EventLog, account: str) -> Iterator[bool]:
    """Hold the turn of an account while this lasts; yield whether it was to be had.

    Raises:
        LogError: The log cannot be reached.
    """
    postgres = _postgres(log)
    if postgres is None:
        yield True
        return
    got, session = postgres.ask(partial(_row, sql=_TAKE, values={"account": account}))
    try:
        yield got
    finally:
        if got:  # by another session, there is nothing to give back: the turn went with the one that had it
            postgres.ask(partial(_row, sql=_GIVE_BACK, values={"account": account, "session": session}))


def worked_on(log: EventLog, accounts: Collection[str]) -> set[str]:
    """Return those of some accounts whose turn somebody has now; none where the log is a file.

    Raises:
        LogError: The log cannot be reached.
    """
    postgres = _postgres(log)
    if postgres is None:
        return set()
    rows = postgres.ask(lambda connection: connection.execute(_HELD.encode(), (list(accounts),)).fetchall())
    return {account for (account,) in rows}


def _row(connection: Connection, *, sql: str, values: dict[str, Any]) -> Any:
    return connection.execute(sql.encode(), values).fetchone()


def _postgres(log: EventLog) -> PostgresLog | None:
    if not is_postgres(log.path):
        return None
    from syncfsm.log.postgres.store import PostgresLog  # noqa: PLC0415 - an extra

    return log if isinstance(log, PostgresLog) else None
