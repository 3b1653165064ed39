"""The sink in PostgreSQL where something goes wrong: others who write, connections that end, who may not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import OperationalError

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.sinks import UpsertResult, open_sink
from syncfsm.sinks.postgres.contacts import Contacts
from syncfsm.sinks.postgres.failures import connecting_failed
from syncfsm.sinks.postgres.place import placed
from syncfsm.sinks.postgres.sink import PostgresSink
from syncfsm.sinks.same_sink import is_same
from tests.contracts.sink import ADA, MARK, NOBODY, run, upsert
from tests.fakes import TestClock
from tests.integration.test_postgres_sink import a_trigger, ask, in_postgres, many
from tests.postgres import GIVEN, connected, restart

WAIT_S = 10.0
OF_A_SINK = "FROM pg_stat_activity WHERE application_name = 'syncfsm sink'"


@pytest.fixture
def url(newest_postgres_url: str) -> str:
    return newest_postgres_url


@pytest.fixture
def sink(url: str) -> Iterator[PostgresSink]:
    sink = PostgresSink(url, clock=TestClock(), lock_timeout_s=0.05)
    upsert(sink, ADA, NOBODY)
    yield sink
    run(sink.aclose())


@contextmanager
def somebody_who(url: str, statement: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Let somebody else do something in a transaction that stays open."""
    with connected(url) as connection:
        connection.autocommit = False
        connection.execute("SET application_name = 'somebody'")
        placed(url).run(connection, statement)
        yield connection


def failed(sink: PostgresSink, *contacts: Contact) -> Failure:
    failure = run(sink.upsert(contacts))
    assert isinstance(failure, Failure), failure
    return failure


INSERT = "INSERT INTO {table} (source, external_id, role, synced_at) VALUES ('attio', 'new', 'x', now())"
NEW = Contact(external_id="new", source="attio", role="y", company="z")


# ── others who write ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "held",
    ["UPDATE {table} SET role = role", "LOCK TABLE {table}", INSERT],
    ids=["rows", "table", "a new row"],
)
def test_what_somebody_holds_is_worth_another_try_and_it_is_said_who(
    sink: PostgresSink, url: str, held: str
) -> None:
    with somebody_who(url, held) as somebody:
        failure = failed(sink, replace(ADA, role="Countess"), NEW)
        assert (failure.kind, failure.is_retryable) == (FailureKind.LOCKED, True)
        who = f"process {somebody.info.backend_pid} of the server (somebody) holds it locked"
        assert who in failure.message
        somebody.rollback()
    assert upsert(sink, replace(ADA, role="Countess"), NEW) == UpsertResult(created=1, updated=1)


def test_an_unchanged_page_waits_for_nobody_who_holds_its_rows(sink: PostgresSink, url: str) -> None:
    with somebody_who(url, "UPDATE {table} SET role = role"):
        assert upsert(sink, ADA, NOBODY) == UpsertResult(unchanged=2)


def when_it_waits(
    url: str, then: Callable[[], object], raised: list[BaseException] | None = None
) -> threading.Thread:
    """Do something as soon as a sink waits for a lock, and keep what that raises."""

    def wait() -> None:
        waits = f"SELECT {OF_A_SINK} AND wait_event_type = 'Lock'"
        with connected(url) as connection:
            for _ in range(10_000):
                if connection.execute(waits).fetchall():
                    break
        try:
            then()
        except psycopg.Error as error:
            if raised is None:
                raise
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_contact_that_somebody_else_makes_meanwhile_is_compared_anew(url: str, is_committed: bool) -> None:
    sink = PostgresSink(url, lock_timeout_s=WAIT_S)
    run(sink.check())
    with somebody_who(url, INSERT) as somebody:
        ended = when_it_waits(url, somebody.commit if is_committed else somebody.rollback)
        result = upsert(sink, replace(NEW, unknown=frozenset({"role"}), role=None))
        ended.join()
    assert result == (UpsertResult(updated=1) if is_committed else UpsertResult(created=1))
    assert in_postgres(url) == {replace(NEW, role="x" if is_committed else None)}
    run(sink.aclose())


def test_what_is_unknown_stays_as_somebody_leaves_it_who_changes_it_meanwhile(
    sink: PostgresSink, url: str
) -> None:
    patient = PostgresSink(url, lock_timeout_s=WAIT_S)
    with somebody_who(url, "UPDATE {table} SET role = 'Countess' WHERE external_id = 'a1'") as somebody:
        ended = when_it_waits(url, somebody.commit)
        upsert(patient, replace(ADA, company="New", role=None, unknown=frozenset({"role"})))
        ended.join()
    run(patient.aclose())
    assert in_postgres(url) == {NOBODY, replace(ADA, company="New", role="Countess")}


def test_a_contact_whose_row_somebody_removes_meanwhile_is_made_anew(sink: PostgresSink, url: str) -> None:
    patient = PostgresSink(url, lock_timeout_s=WAIT_S)
    with somebody_who(url, "DELETE FROM {table}") as somebody:
        ended = when_it_waits(url, somebody.commit)
        assert upsert(patient, replace(ADA, role="Countess")) == UpsertResult(created=1)
        ended.join()
    run(patient.aclose())


@pytest.mark.parametrize("is_new", [True, False], ids=["new ones", "changed ones"])
def test_who_waits_for_a_row_holds_none_that_comes_after_it(url: str, *, is_new: bool) -> None:
    """Rows are locked in one order, whatever order they come in: nobody waits in a circle."""
    sink = PostgresSink(url, lock_timeout_s=WAIT_S)
    first, last = many(2)
    upsert(sink, *([] if is_new else [last, first]))
    hold = (
        INSERT.replace("'new'", "'{}'")
        if is_new
        else "UPDATE {{table}} SET company = '' WHERE external_id = '{}'"
    )
    with somebody_who(url, statement_of(hold, first)) as somebody:

        def hold_the_other_too() -> None:
            somebody.execute("SET lock_timeout = 1")
            placed(url).run(somebody, statement_of(hold, last))
            somebody.commit()

        raised: list[BaseException] = []
        ended = when_it_waits(url, hold_the_other_too, raised)
        result = upsert(sink, *(replace(each, role="changed") for each in (last, first)))
        ended.join()
    assert (result.updated, raised) == (2, [])
    run(sink.aclose())


def statement_of(statement: str, contact: Contact) -> str:
    return statement.replace("{}", contact.external_id).replace("{{", "{").replace("}}", "}")


def test_many_who_write_the_same_contacts_at_once_make_each_once_and_none_is_refused(url: str) -> None:
    """The rows of a page are locked in one order, whatever order it comes in."""
    sinks = [PostgresSink(url, lock_timeout_s=WAIT_S) for _ in range(6)]
    contacts = many(120)

    async def write(sink: PostgresSink, number: int) -> int:
        created = 0
        for turn in range(4):
            page = [replace(contact, role=f"{number} {turn}") for contact in contacts]
            done = await sink.upsert(page if number % 2 else page[::-1])
            assert isinstance(done, UpsertResult), done
            assert not done.rejects
            created += done.created
        await sink.aclose()
        return created

    async def write_all() -> list[int]:
        return await asyncio.gather(*(write(sink, number) for number, sink in enumerate(sinks)))

    assert sum(run(write_all())) == len(contacts)
    assert len({contact.role for contact in in_postgres(url)}) == 1  # one page came last, all of it


def test_many_who_make_the_tables_at_once_make_one_sink(url: str) -> None:
    sinks = [PostgresSink(url) for _ in range(8)]

    async def check_all() -> list[Any]:
        found = await asyncio.gather(*(sink.check() for sink in sinks))
        for sink in sinks:
            await sink.aclose()
        return found

    assert run(check_all()) == [{"sink": sinks[0].name}] * 8
    assert len({sink.sink_id() for sink in sinks}) == 1
    for sink in sinks:
        run(sink.aclose())


# ── connections that end ─────────────────────────────────────────────────────────────────────


def end_connections(url: str) -> None:
    ask(
        url,
        f"SELECT pg_terminate_backend(pid, 5000) {OF_A_SINK}",
    )


def test_a_connection_that_was_ended_is_made_again_at_the_next_try(sink: PostgresSink, url: str) -> None:
    end_connections(url)
    failure = failed(sink, replace(ADA, role="Countess"))
    assert (failure.kind, failure.is_retryable) == (FailureKind.UNAVAILABLE, True)
    assert upsert(sink, replace(ADA, role="Countess")) == UpsertResult(updated=1)
    end_connections(url)
    assert sink.sink_id() is not None


def test_a_connection_that_ends_midway_leaves_no_half_page(sink: PostgresSink, url: str) -> None:
    ask(
        url,
        a_trigger("PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW;", "BEFORE UPDATE ON {table}"),
    )
    page = [*many(30), replace(ADA, role="Countess")]
    assert failed(sink, *page).kind is FailureKind.UNAVAILABLE
    ask(url, "DROP TRIGGER t ON {table}")
    assert upsert(sink, *page) == UpsertResult(created=30, updated=1)


def test_a_page_whose_commit_was_not_answered_is_delivered_again(
    sink: PostgresSink, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Contacts.write

    def unanswered(*args: Any, **more: Any) -> None:
        write(*args, **more)
        raise OperationalError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Contacts, "write", unanswered)
        failure = run(sink.upsert_marked([NEW], MARK))
    assert isinstance(failure, Failure)
    assert (failure.kind, sink._session._opened) == (FailureKind.UNAVAILABLE, None)
    assert run(sink.upsert_marked([NEW], MARK)) == UpsertResult(unchanged=1)
    assert (in_postgres(url), sink.marks()) == ({ADA, NOBODY, NEW}, (MARK,))


@pytest.mark.skipif(bool(GIVEN), reason="a server that was given is not ours to restart")
def test_a_server_that_crashed_and_came_back_has_what_was_taken(url: str) -> None:
    sink = PostgresSink(url)
    assert run(sink.upsert_marked([ADA], MARK)) == UpsertResult(created=1)
    restart(mode="immediate")
    assert failed(sink, ADA).kind is FailureKind.UNAVAILABLE
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=1, unchanged=1)
    assert sink.marks() == (MARK,)
    run(sink.aclose())


def test_what_the_sink_said_of_itself_last_counts_while_it_cannot_be_asked(
    sink: PostgresSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sink.set_mark(MARK))
    before = sink.sink_id(), sink.marks()
    run(sink.aclose())

    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr("syncfsm.sinks.postgres.session.connect", down)
    assert (sink.sink_id(), sink.marks()) == before
    assert not run(sink.is_empty())


def cancelled(sink: PostgresSink, page: list[Contact], url: str, *, when_waiting: bool) -> None:
    """Let somebody have a page under way, and give it up: before it could begin, or while it waits."""

    async def cancel() -> None:
        task = asyncio.create_task(sink.upsert_marked(page, MARK))
        waiting = asyncio.Event()
        loop = asyncio.get_running_loop()
        if when_waiting:
            when_it_waits(url, lambda: loop.call_soon_threadsafe(waiting.set))
            await waiting.wait()
        await asyncio.sleep(0)
        task.cancel()
        began = loop.time()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.time() - began < WAIT_S / 2
        assert not sink._session._turn.locked()

    run(cancel())


@pytest.mark.parametrize("when_waiting", [True, False])
def test_a_page_that_is_cancelled_is_over_at_once_and_leaves_nothing(url: str, *, when_waiting: bool) -> None:
    sink = PostgresSink(url, lock_timeout_s=WAIT_S)
    upsert(sink, ADA)
    page = [*many(30), replace(ADA, role="Countess"), NEW]
    with somebody_who(url, INSERT) as somebody:
        cancelled(sink, page, url, when_waiting=when_waiting)
        somebody.rollback()
    assert (in_postgres(url), sink.marks()) == ({ADA}, ())
    assert run(sink.upsert_marked(page, MARK)) == UpsertResult(created=31, updated=1)
    run(sink.aclose())


# ── who may not, and what is not there ───────────────────────────────────────────────────────


@pytest.fixture
def role(url: str) -> Iterator[str]:
    """A user who may do nothing yet."""
    ask(url, "CREATE ROLE syncfsm_somebody LOGIN PASSWORD 'planted-password'")
    yield "syncfsm_somebody"
    ask(url, "DROP SCHEMA IF EXISTS {schema} CASCADE")
    ask(url, "DROP OWNED BY syncfsm_somebody")
    ask(url, "DROP ROLE syncfsm_somebody")


def as_(role: str, url: str) -> str:
    return url.replace("postgresql://postgres:@", f"postgresql://{role}:planted-password@")


def checked(sink: PostgresSink) -> tuple[FailureKind, str]:
    """Return why a sink cannot be written, which it says wherever it is asked."""
    found = [run(sink.check()), run(sink.inspect()), run(sink.upsert([ADA]))]
    run(sink.aclose())
    assert isinstance(found[0], Failure)
    assert len({str(each) for each in found}) == 1, found
    assert "planted-password" not in str(found)
    return found[0].kind, found[0].message.removeprefix(f"the sink {sink.name} ")


RIGHTS = "SELECT, INSERT and UPDATE on its tables, or CREATE where they are missing"
NOT_ALLOWED = (FailureKind.FORBIDDEN, f"cannot be written: the user needs {RIGHTS}.")


def test_a_user_without_rights_hears_which_ones(url: str, role: str) -> None:
    sink = PostgresSink(as_(role, url))
    assert checked(sink) == NOT_ALLOWED
    ask(url, "CREATE SCHEMA {schema}")
    ask(url, f"GRANT USAGE ON SCHEMA {{schema}} TO {role}")
    assert checked(sink) == NOT_ALLOWED
    upsert(owner := PostgresSink(url), ADA)
    ask(url, f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {{schema}} TO {role}")
    assert checked(sink) == NOT_ALLOWED
    ask(url, f"GRANT UPDATE ON ALL TABLES IN SCHEMA {{schema}} TO {role}")
    assert run(sink.upsert_marked([ADA, NOBODY], MARK)) == UpsertResult(created=1, unchanged=1)
    assert run(sink.delete("attio", ["n1"])) == 1
    for each in (sink, owner):
        run(each.aclose())


def test_a_server_that_takes_no_writes_says_so(url: str, role: str) -> None:
    ask(url, f"ALTER ROLE {role} SET default_transaction_read_only = on")
    kind, message = checked(PostgresSink(as_(role, url)))
    assert kind is FailureKind.UNWRITABLE
    assert "it is a standby, or read-only; name the primary" in message


def test_one_that_takes_none_any_more_is_left_for_another(sink: PostgresSink, url: str) -> None:
    ask(url, a_trigger("RAISE 'no' USING ERRCODE = '25006';", "BEFORE UPDATE ON {table}"))
    failure = failed(sink, replace(ADA, role="Countess"))
    assert (failure.kind, sink._session._opened) == (FailureKind.UNWRITABLE, None)


def moved(url: str, **elsewhere: str) -> str:
    place = psycopg.conninfo.conninfo_to_dict(placed(url).address.conninfo) | elsewhere
    return (
        f"postgresql://{place['user']}@/{place['dbname']}?host={place['host']}&port={place.get('port', 5432)}"
    )


def test_a_database_that_is_not_there_and_a_server_that_is_not_up(url: str, tmp_path: Any) -> None:
    kind, message = checked(PostgresSink(moved(url, dbname="nowhere")))
    assert kind is FailureKind.UNWRITABLE
    assert (
        message == "cannot be reached: there is no such database; make it with `createdb`, or name another."
    )
    kind, message = checked(PostgresSink(moved(url, host=str(tmp_path))))
    assert kind is FailureKind.UNAVAILABLE
    assert "no server answers on this machine" in message


@pytest.mark.parametrize(
    ("told", "kind"),
    {
        'FATAL:  password authentication failed for user "u"': FailureKind.UNAUTHORIZED,
        "fe_sendauth: no password supplied": FailureKind.UNAUTHORIZED,
        'FATAL:  role "u" does not exist': FailureKind.UNAUTHORIZED,
        'FATAL:  no pg_hba.conf entry for host "h"': FailureKind.FORBIDDEN,
        'FATAL:  database "d" does not exist': FailureKind.UNWRITABLE,
        "FATAL:  the database system is starting up": FailureKind.UNAVAILABLE,
        "FATAL:  sorry, too many clients already": FailureKind.UNAVAILABLE,
        "Connection refused": FailureKind.UNAVAILABLE,
        "connection timeout expired": FailureKind.UNAVAILABLE,
        "FATAL:  das Datenbanksystem startet": FailureKind.UNAVAILABLE,
        "SSL error: certificate verify failed": FailureKind.UNTRUSTED,
        "session is read-only": FailureKind.UNWRITABLE,
    }.items(),
)
def test_what_may_pass_by_waiting_is_tried_again_and_nothing_else(told: str, kind: FailureKind) -> None:
    failure = connecting_failed(OperationalError(f"connection to server failed: {told}"), "postgresql://h/d")
    assert failure.kind is kind
    assert failure.message.startswith("the sink postgresql://h/d cannot be reached: ")
    assert told not in failure.message


# ── a table that is another one ──────────────────────────────────────────────────────────────


OTHER_TABLES = {
    "dropped": "DROP TABLE {table}",
    "dropped with all of its schema": "DROP SCHEMA {schema} CASCADE",
    "made anew": "CREATE TABLE {schema}.new (LIKE {table} INCLUDING ALL); DROP TABLE {table}; "
    "ALTER TABLE {schema}.new RENAME TO contacts",
    "without an id": "DROP TABLE {sinks}",
    "with another id": "UPDATE {sinks} SET id = 'other'",
}


@pytest.mark.parametrize("statement", OTHER_TABLES.values(), ids=OTHER_TABLES)
@pytest.mark.parametrize("ask_sink", ["upsert", "delete", "known", "finish", "set_mark"])
def test_a_table_that_was_replaced_while_it_was_in_use_is_noticed(
    sink: PostgresSink, url: str, statement: str, ask_sink: str
) -> None:
    ask(url, statement)
    asked: dict[str, Callable[[], Any]] = {
        "upsert": lambda: sink.upsert([replace(ADA, role="Countess")]),
        "delete": lambda: sink.delete("attio", ["a1"]),
        "known": lambda: sink.known("attio"),
        "finish": sink.finish,
        "set_mark": lambda: sink.set_mark(MARK),
    }
    failure = run(asked[ask_sink]())
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_retryable) == (FailureKind.REPLACED, False)
    assert run(sink.check()) == {"sink": sink.name}  # which takes what it finds, and makes what is missing
    assert isinstance(upsert(sink, NOBODY), UpsertResult)


def test_what_is_said_of_a_table_that_was_dropped_is_not_said_of_the_next(
    sink: PostgresSink, url: str
) -> None:
    run(sink.set_mark(MARK))
    before = sink.sink_id()
    run(sink.aclose())
    ask(url, "DROP TABLE {table}")
    assert run(sink.is_empty())
    run(sink.check())
    assert sink.sink_id() not in {None, before}
    assert sink.marks() == ()


# ── its name ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:planted@h/d",
        "postgres://u:planted@h/d",
        "postgresql://u:planted@h/d?table=contacts&schema=syncfsm&sslmode=require",
        "postgresql://u@h/d?password=planted",
        "postgresql://h/d?user=u",
    ],
)
def test_a_table_has_one_name_however_it_is_written_and_no_password_in_it(url: str) -> None:
    sink = open_sink(url)
    assert sink.name == "postgresql://u@h/d"
    assert "planted" not in repr(vars(sink)) + repr(sink)


SAME = [
    "postgresql://u@h/d",
    "postgresql://v@H:5432/d",
    "postgresql://h/d",
    "postgres://h/d?schema=syncfsm&table=contacts",
    "postgresql:///d?host=h",
]
OTHERS = [
    "postgresql://u@h/e",
    "postgresql://u@h:5433/d",
    "postgresql://u@i/d",
    "postgresql://u@h/d?schema=public",
    "postgresql://u@h/d?table=people",
    "postgresql://u@h/d#1a2b3c4d",
    "postgresql://u@h,i/d",
    "sqlite:d",
]


def test_names_of_one_table_are_of_the_same_sink() -> None:
    assert all(is_same(one, other) for one in SAME for other in SAME)
    assert not any(is_same(SAME[0], other) or is_same(other, SAME[0]) for other in OTHERS)
    assert is_same("postgresql://u@[::1]/u", "postgresql://u@[::1]:5432")


@pytest.mark.parametrize(
    "more",
    ["table=", "table=a&table=b", "table=" + "a" * 64, "table=syncfsm_marks", "table=a%00b", "schema=pg_x"],
)
def test_a_table_that_cannot_be_is_refused_and_the_url_not_repeated(more: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_sink(f"postgresql://u:planted@h/d?{more}")
    assert "planted" not in str(refused.value)


def test_a_key_is_the_password_where_the_url_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "of the environment")  # which libpq finds by itself
    for url, key, used in [
        ("postgresql://u@h/d", "given", "given"),
        ("postgresql://u:own@h/d", "given", "own"),
        ("postgresql://u@h/d", None, None),
    ]:
        sink: Any = open_sink(url, key=key)
        found = psycopg.conninfo.conninfo_to_dict(sink._place.address.conninfo)
        assert found.get("password") == used


def test_without_the_driver_it_is_said_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from syncfsm.sinks import open_sink\n"
        "from syncfsm.sinks.same_sink import is_same\n"
        "assert is_same('postgresql://u@h/d', 'postgresql://h/d')\n"
        "try: open_sink('postgresql://u:planted@h/d')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ConfigurationError PostgreSQL is an extra: pip install 'syncfsm[postgres]'\n"
