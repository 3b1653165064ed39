"""What goes wrong beside workers: clocks, rights, rows that cannot be written, thousands at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from procrastinate.schema import SchemaManager
from psycopg import sql

from syncfsm.errors import LogError
from syncfsm.log import open_log
from syncfsm.postgres.address import parse
from syncfsm.postgres.connection import Connection
from syncfsm.workers.queue import turns
from syncfsm.workers.queue.jobs import Jobs
from syncfsm.workers.queue.schema import made_ready, queue_connection
from tests.integration.test_workers import Office, office

__all__ = ["office"]


def test_thousands_that_are_due_are_deferred_in_one_statement(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, ten thousand hold up the heartbeat of the worker for many seconds."""
    jobs, many = Jobs(), [f"sync {number}" for number in range(1000)]
    jobs.defer(office.connection, "sync 7")
    monkeypatch.setattr(Jobs, "defer", None)
    jobs.defer_all(office.connection, many)
    jobs.defer_all(office.connection, many)
    assert sorted(office.jobs()) == sorted((sync, False) for sync in many)


def test_what_somebody_else_defers_meanwhile_keeps_no_other_from_being_deferred(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs().defer(office.connection, "small")
    monkeypatch.setattr("syncfsm.workers.queue.jobs._WAITING", "SELECT NULL WHERE %s::text[] IS NULL")
    Jobs().defer_all(office.connection, ["small", "large"])
    assert sorted(office.jobs()) == [("large", False), ("small", False)]


def test_a_job_whose_end_was_not_recorded_holds_up_no_later_job_of_its_sync(office: Office) -> None:
    """Its worker lives, so nobody takes it for stalled."""
    Jobs().defer(office.connection, "large")
    office.connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    taking = "SELECT args->>'sync' FROM procrastinate_fetch_job_v2(ARRAY['syncfsm'], 1)"
    assert office.connection.execute(taking).fetchone() == ("large",)
    Jobs().defer(office.connection, "large")
    assert office.connection.execute(taking).fetchone() == ("large",)


def test_a_job_waits_by_the_clock_of_the_server(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine that is an hour ahead, each slice would wait for an hour."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=1)

    monkeypatch.setattr("syncfsm.workers.queue.jobs.datetime", Ahead)
    Jobs().defer(office.connection, "large", after_s=1.0)
    left = office.connection.execute("SELECT scheduled_at - now() FROM procrastinate_jobs").fetchone()
    assert left is not None
    assert 0 < left[0].total_seconds() <= 1.5


def test_an_account_whose_row_cannot_be_written_is_let_go(office: Office) -> None:
    """On a full disk: else its lock is held for as long as the connection lasts."""
    with queue_connection(parse(office.url), "first") as first:
        turn = turns.Turn(sync="large", account="large", worker="first")
        for refused in ("turns", "account_waits"):
            office.connection.execute(
                f"ALTER TABLE {refused} ADD CONSTRAINT full_disk CHECK (false) NOT VALID"
            )
            with pytest.raises(psycopg.errors.CheckViolation):
                _taken_and_given_back(first, turn)
            office.connection.execute(f"ALTER TABLE {refused} DROP CONSTRAINT full_disk")
            assert turns.take(office.connection, turn) is None
            turns.give_back(office.connection, turn, due_s=0, wait_s=0)
            office.forget_jobs()


def _taken_and_given_back(connection: Connection, turn: turns.Turn) -> None:
    turns.take(connection, turn)
    turns.give_back(connection, turn, due_s=0, wait_s=0)


def test_a_user_who_may_make_nothing_works_with_a_queue_that_is_there(office: Office) -> None:
    schema = sql.Identifier(parse(office.url).schema)
    role = sql.Identifier(f"weak {parse(office.url).schema}")
    grants = sql.SQL(
        "CREATE ROLE {r} LOGIN; GRANT USAGE ON SCHEMA {s} TO {r}; "
        "GRANT ALL ON ALL TABLES IN SCHEMA {s} TO {r}"
    )
    office.connection.execute(grants.format(r=role, s=schema))
    try:
        made_ready(f"{office.url}&user={quote(role.as_string(None).strip(chr(34)))}")
    finally:
        office.connection.execute(sql.SQL("DROP OWNED BY {r}; DROP ROLE {r}").format(r=role))


def test_tables_of_procrastinate_that_somebody_else_made_are_refused(newest_postgres_url: str) -> None:
    """They may be of an older version, whose functions are others: each job would fail, and nobody told."""
    open_log(newest_postgres_url).close()
    with queue_connection(parse(newest_postgres_url), "somebody else") as connection:
        connection.execute(SchemaManager.get_schema().encode())
    with pytest.raises(LogError, match="somebody else made"):
        made_ready(newest_postgres_url)


def test_a_queue_that_was_made_by_an_older_version_is_brought_up_to_date(office: Office) -> None:
    last = max(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    office.connection.execute("DELETE FROM queue_migrations WHERE name = %s", (last,))
    made_ready(office.url)
    recorded = "SELECT count(*) FROM queue_migrations WHERE name = %s"
    assert office.connection.execute(recorded, (last,)).fetchone() == (1,)
