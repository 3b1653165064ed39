"""Whose turn it is: one account is worked on by one slice at a time, whoever's worker that is on.

The turn is a lock of the session: it ends when it is given back, and when the worker or its connection dies.
Who finds an account taken, or told to wait, is told for how long, and does something else meanwhile. All
times are the server's, so that clocks of machines may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from syncfsm.core.value import Value
from syncfsm.postgres.connection import Connection
from syncfsm.workers.account_turns import LOCK, UNLOCK

GAP_S = 1.0
"""Between two slices of an account: its key's limit is for each second, and the second slice counts anew."""

BUSY_S = 1.0
"""How long until the next try where another slice has the turn."""

GUARD_S = 45.0
"""After which a sync is looked at again, whatever became of its job."""

_TAKE = f"""
WITH lock AS MATERIALIZED (SELECT {LOCK} AS got),
    wait AS (
        SELECT coalesce(extract(epoch FROM max(not_before) - clock_timestamp()), 0)::float8 AS left_s
        FROM account_waits WHERE account = %(account)s
    ),
    taken AS (
        INSERT INTO turns (sync, account, worker, since, due_at)
        SELECT %(sync)s, %(account)s, %(worker)s, now(), now() + make_interval(secs => %(guard_s)s)
        FROM lock, wait WHERE got AND left_s <= 0
        ON CONFLICT (sync) DO UPDATE SET
            account = excluded.account, worker = excluded.worker, since = excluded.since,
            due_at = excluded.due_at
    )
SELECT got, left_s FROM lock, wait
"""  # noqa: S608 - all of it is ours
_UNLOCK = f"SELECT {UNLOCK}"
_GIVE_BACK = """
WITH waits AS (
    INSERT INTO account_waits (account, not_before)
    VALUES (%(account)s, now() + make_interval(secs => %(wait_s)s))
    ON CONFLICT (account) DO UPDATE SET not_before = greatest(account_waits.not_before, excluded.not_before)
)
UPDATE turns SET worker = NULL, since = NULL, due_at = now() + make_interval(secs => %(due_s)s)
WHERE sync = %(sync)s
"""
_REGISTER = """
INSERT INTO turns (sync, account) VALUES (%s, %s)
ON CONFLICT (sync) DO UPDATE
SET account = excluded.account, due_at = least(turns.due_at, now() + make_interval(secs => %s))
"""
_AT_PROCESS = """
UPDATE turns SET process = %s WHERE sync IN (
    SELECT sync FROM turns WHERE sync = %s AND process IS DISTINCT FROM %s FOR UPDATE SKIP LOCKED
)
"""
_DUE = "SELECT sync FROM turns WHERE due_at <= now() AND sync = ANY (%s) ORDER BY due_at"
_LOOKED_AT = "UPDATE turns SET due_at = now() + make_interval(secs => %s) WHERE sync = ANY (%s)"
_STILL = """
SELECT sync, process FROM turns JOIN processes ON processes.id = turns.process
WHERE sync = ANY (%s) AND state IN ('INITIALIZING', 'FETCHING') AND updated_at < %s
    AND told_of IS DISTINCT FROM process
"""


class Turn(Value, frozen=True):
    """What somebody has the turn for.

    Attributes:
        sync: The sync.
        account: Whose it is.
        worker: Who has it.
    """

    sync: str
    account: str
    worker: str


def register(connection: Connection, syncs: Iterable[tuple[str, str, float]]) -> None:
    """Let syncs be known, each with its account and how often it is due, which may be more often than before.

    One that is new is due at once.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_REGISTER, sorted(syncs))


def take(connection: Connection, turn: Turn) -> float | None:
    """Take the turn of an account; return `None`, or for how many seconds it is not to be had."""
    values = _values(turn, guard_s=GUARD_S)
    with _unlocked_if_it_fails(connection, values):
        row = connection.execute(_TAKE.encode(), values).fetchone()
    assert row is not None, "it always answers"
    got, wait_s = row
    if not got:
        return BUSY_S
    if wait_s > 0:
        connection.execute(_UNLOCK.encode(), values)
        return float(wait_s)
    return None


def give_back(connection: Connection, turn: Turn, *, due_s: float, wait_s: float) -> None:
    """Give the turn back.

    Args:
        connection: The one by which it was taken.
        turn: What was taken.
        due_s: When the sync is due next.
        wait_s: For how long nobody is to ask for the account.
    """
    values = _values(turn, due_s=max(0.0, due_s), wait_s=max(GAP_S, wait_s))
    with _unlocked_if_it_fails(connection, values):
        connection.execute(_GIVE_BACK.encode(), values)
    connection.execute(_UNLOCK.encode(), values)


@contextmanager
def _unlocked_if_it_fails(connection: Connection, values: dict[str, Any]) -> Iterator[None]:
    """Let go of an account whose row cannot be written, on a full disk for instance.

    Else it would be held for as long as the session lasts, from which nobody else could tell why.
    """
    try:
        yield
    except psycopg.Error:
        with suppress(psycopg.Error):  # a session that was lost has let go
            connection.execute(_UNLOCK.encode(), values)
        raise


def at_process(connection: Connection, turn: Turn, process_id: str) -> None:
    """Say which process somebody is at, in the transaction of its event; it waits for nobody who looks."""
    connection.execute(_AT_PROCESS, (process_id, turn.sync, process_id))


def due(connection: Connection, syncs: list[str]) -> list[str]:
    """Return those syncs that are due, the longest due first; they are not, for a while, from then on."""
    with connection.transaction():
        found = [sync for (sync,) in connection.execute(_DUE, (syncs,))]
        connection.execute(_LOOKED_AT, (GUARD_S, found))
    return found


def standing_still(connection: Connection, syncs: list[str], before: str) -> list[tuple[str, str]]:
    """Return syncs and their processes that are active, have not moved since, and were not told of yet."""
    return connection.execute(_STILL, (syncs, before)).fetchall()


def told(connection: Connection, sync: str, process_id: str) -> None:
    """Remember that somebody was told of a process."""
    connection.execute("UPDATE turns SET told_of = %s WHERE sync = %s", (process_id, sync))


def workers_on(connection: Connection) -> dict[str, str]:
    """Return which worker is on which process, by the processes' ids; none where no queue can be read."""
    is_there = connection.execute("SELECT has_table_privilege(to_regclass('turns'), 'SELECT')").fetchone()
    if not is_there or not is_there[0]:
        return {}
    found = connection.execute(
        "SELECT process, worker FROM turns WHERE worker IS NOT NULL AND process IS NOT NULL"
    )
    return dict(found.fetchall())


def _values(turn: Turn, **more: float) -> dict[str, Any]:
    return {"sync": turn.sync, "account": turn.account, "worker": turn.worker, **more}
