"""The sink in PostgreSQL: the contract on each version, and what is particular to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.paging.place import Reject
from syncfsm.items.contact import Contact
from syncfsm.sinks import UpsertResult
from syncfsm.sinks.postgres.marks import Marks
from syncfsm.sinks.postgres.place import placed
from syncfsm.sinks.postgres.rows import NAMES
from syncfsm.sinks.postgres.sink import PostgresSink
from syncfsm.sinks.protocol import NOT_THERE
from tests.contracts.sink import ADA, MARK, NOBODY, SinkContract, run, upsert
from tests.effort import tries
from tests.fakes import TestClock
from tests.postgres import NEWEST, VERSIONS, a_schema, admin

COLUMNS = ", ".join(NAMES)


def ask(url: str, statement: str, *values: object, version: int = NEWEST) -> list[Any]:
    """Return what a statement of somebody else's brings; `{table}`, `{schema}` are those of the sink."""
    cursor = placed(url).run(admin(version), statement, *values)
    return cursor.fetchall() if cursor.description else []


def in_postgres(url: str, version: int = NEWEST) -> set[Contact]:
    """Return all contacts; the table is not there before anything is written."""
    try:
        rows = ask(url, f"SELECT {COLUMNS} FROM {{table}} WHERE deleted_at IS NULL", version=version)
    except psycopg.errors.UndefinedTable:
        return set()
    found = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return {
        Contact(**(contact | {name: tuple(contact[name]) for name in ("phone_numbers", "emails")}))
        for contact in found
    }


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"pg{version}")
class TestPostgresSink(SinkContract):
    @pytest.fixture
    def fresh(self, url: str, version: int) -> Callable[[], Any]:
        numbers = count()

        def make() -> Any:
            table = f"{url}&table=people{next(numbers)}"
            return PostgresSink(table, clock=TestClock()), lambda: in_postgres(table, version)

        return make

    @pytest.fixture
    def url(self, version: int) -> Iterator[str]:
        with a_schema(version) as url:
            yield url

    @pytest.fixture
    def sink(self, url: str) -> Iterator[PostgresSink]:
        sink = PostgresSink(url, clock=TestClock())
        yield sink
        run(sink.aclose())

    @pytest.fixture
    def stored(self, url: str, version: int) -> Callable[[], set[Contact]]:
        return lambda: in_postgres(url, version)


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def version(request: pytest.FixtureRequest) -> int:
    return int(request.node.callspec.params["postgres_url"])


Ask = Callable[..., list[Any]]


@pytest.fixture
def asked(url: str, version: int) -> Ask:
    """Ask the server something, as somebody else would."""
    return lambda statement, *values: ask(url, statement, *values, version=version)


@pytest.fixture
def sink(url: str) -> Iterator[PostgresSink]:
    sink = PostgresSink(url, clock=TestClock(), lock_timeout_s=0.05)
    yield sink
    run(sink.aclose())


@pytest.fixture
def full(sink: PostgresSink) -> PostgresSink:
    """A sink that has two contacts."""
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=2)
    return sink


def schema_of(sink: PostgresSink) -> str:
    return sink._place.address.schema


def many(how_many: int, **more: Any) -> list[Contact]:
    return [Contact(external_id=f"m{number:04}", source="attio", **more) for number in range(how_many)]


# ── the table ────────────────────────────────────────────────────────────────────────────────


def test_the_table_has_the_columns_that_users_build_on(full: PostgresSink, asked: Ask) -> None:
    found = asked(
        "SELECT attname::text, atttypid::regtype::text FROM pg_attribute "
        "WHERE attrelid = format('%%I.%%I', %s::text, 'contacts')::regclass AND attnum > 0 ORDER BY attnum",
        schema_of(full),
    )
    assert [name for name, _ in found] == [*NAMES, "synced_at", "deleted_at"]
    assert {name for name, type_ in found if type_ == "text[]"} == {"phone_numbers", "emails"}
    assert asked("SELECT first_name FROM {table} WHERE 'ada@mail.example' = ANY (emails)") == [("Ada",)]
    assert asked("SELECT count(*) FROM {table} WHERE synced_at < now() AND emails = '{{}}'") == [(1,)]


def test_a_deleted_contact_is_only_marked_and_says_when(full: PostgresSink, asked: Ask) -> None:
    run(full.delete("attio", ["a1"]))
    marked = "SELECT first_name, deleted_at > synced_at FROM {table} WHERE deleted_at IS NOT NULL"
    assert asked(marked) == [("Ada", True)]
    upsert(full, ADA)
    assert asked(marked) == []


def test_synced_at_is_the_time_of_the_last_change(sink: PostgresSink, asked: Ask) -> None:
    times = []
    for contact in (ADA, ADA, replace(ADA, role="Countess")):
        upsert(sink, contact)
        times += asked("SELECT synced_at FROM {table}")
    assert times[0] == times[1] < times[2]


def test_a_page_that_changes_nothing_neither_writes_nor_locks_a_row(full: PostgresSink, asked: Ask) -> None:
    rows = "SELECT xmin::text, xmax::text, ctid::text FROM {table}"
    before = asked(rows)
    assert upsert(full, ADA, NOBODY) == UpsertResult(unchanged=2)
    assert asked(rows) == before


@pytest.mark.parametrize("parts", ["HASH (source)", "LIST (source)", "RANGE (source, external_id)"])
def test_a_partitioned_table_takes_contacts_and_says_what_it_did(
    sink: PostgresSink, asked: Ask, parts: str
) -> None:
    run(sink.check())
    asked("ALTER TABLE {table} RENAME TO old")
    asked(f"CREATE TABLE {{table}} (LIKE {{schema}}.old INCLUDING ALL) PARTITION BY {parts}")
    bounds = "WITH (MODULUS 1, REMAINDER 0)" if parts.startswith("HASH") else "IN ('attio')"
    if parts.startswith("RANGE"):
        bounds = "FROM ('attio', 'a') TO ('attio', 'z')"
    asked(f"CREATE TABLE {{schema}}.part PARTITION OF {{table}} FOR VALUES {bounds}")
    run(sink.aclose())
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=2)
    assert upsert(sink, ADA, replace(NOBODY, role="Nobody")) == UpsertResult(updated=1, unchanged=1)
    if not parts.startswith("HASH"):
        (reject,) = upsert(sink, replace(ADA, source="hubspot")).rejects
        assert reject.reason == "PostgreSQL refuses it: CheckViolation (23514)"


def test_what_somebody_added_to_the_table_is_left_alone(full: PostgresSink, asked: Ask) -> None:
    asked("ALTER TABLE {table} ADD COLUMN notes text DEFAULT 'none', ADD COLUMN id bigserial UNIQUE")
    asked("CREATE VIEW {schema}.people AS SELECT first_name, notes FROM {table} WHERE deleted_at IS NULL")
    asked("UPDATE {table} SET notes = 'called on monday' WHERE external_id = 'a1'")
    assert upsert(full, replace(ADA, first_name="A."), NOBODY) == UpsertResult(updated=1, unchanged=1)
    run(full.delete("attio", ["a1"]))
    assert upsert(full, ADA) == UpsertResult(created=1)
    upsert(full, *many(1, first_name="New"))
    assert set(asked("SELECT * FROM {schema}.people")) == {
        ("Ada", "called on monday"),
        (None, "none"),
        ("New", "none"),
    }


def test_several_sinks_of_one_schema_have_a_table_an_id_and_marks_each(url: str, version: int) -> None:
    names = ("contacts", "people", 'odd "name" {of} 100%')
    sinks = [PostgresSink(f"{url}&table={quote(name)}") for name in names]
    for number, sink in enumerate(sinks):
        done = run(sink.upsert_marked(many(number), replace(MARK, version=number)))
        assert done == UpsertResult(created=number)
    assert len({sink.sink_id() for sink in sinks}) == len(sinks)
    assert [sink.marks()[0].version for sink in sinks] == [0, 1, 2]
    assert [len(run(sink.known("attio"))) for sink in sinks] == [0, 1, 2]  # type: ignore[arg-type]
    assert [len(in_postgres(f"{url}&table={quote(name)}", version)) for name in names] == [0, 1, 2]
    for sink in sinks:
        run(sink.aclose())


FOREIGN_TABLES = {
    "other columns": "CREATE TABLE {table} (id bigint PRIMARY KEY, first_name text)",
    "no key": "CREATE TABLE {table} (LIKE {schema}.old)",
    "a key that may wait": "CREATE TABLE {table} (LIKE {schema}.old, "
    "UNIQUE (source, external_id) DEFERRABLE INITIALLY DEFERRED)",
    "a larger key": "CREATE TABLE {table} (LIKE {schema}.old, UNIQUE (source, external_id, role))",
    "lists of another type": "CREATE TABLE {table} (LIKE {schema}.old INCLUDING ALL); "
    "ALTER TABLE {table} DROP emails, ADD emails jsonb",
    "a view": "CREATE VIEW {table} AS SELECT * FROM {schema}.old",
    "a view with a key": "CREATE MATERIALIZED VIEW {table} AS SELECT * FROM {schema}.old; "
    "CREATE UNIQUE INDEX ON {table} (source, external_id)",
}


@pytest.mark.parametrize("statement", FOREIGN_TABLES.values(), ids=FOREIGN_TABLES)
def test_a_table_that_is_something_elses_is_refused(sink: PostgresSink, asked: Ask, statement: str) -> None:
    run(sink.check())
    asked("ALTER TABLE {table} RENAME TO old")
    asked(statement)
    run(sink.aclose())
    found = [run(sink.check()), run(sink.inspect()), run(sink.upsert([ADA])), run(sink.known("attio"))]
    assert len(set(map(str, found))) == 1
    assert isinstance(found[0], Failure)
    assert (found[0].kind, found[0].is_retryable) == (FailureKind.FOREIGN, False)
    assert found[0].message.endswith(
        "a table `contacts` of another shape; name another by ?table= or ?schema=."
    )
    assert not run(sink.is_empty())


def test_a_table_of_ones_own_with_other_texts_and_a_key_of_its_own_will_do(
    sink: PostgresSink, asked: Ask
) -> None:
    run(sink.check())
    asked("ALTER TABLE {table} ALTER first_name TYPE varchar(4), ALTER emails TYPE varchar(80)[]")
    asked("ALTER TABLE {table} ADD COLUMN id bigserial, DROP CONSTRAINT contacts_pkey, ADD PRIMARY KEY (id)")
    asked("CREATE UNIQUE INDEX ON {table} (external_id, source) INCLUDE (role)")
    run(sink.aclose())
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=2)
    (reject,) = upsert(sink, replace(ADA, first_name="Augusta"), NOBODY).rejects
    assert reject.reason == "PostgreSQL refuses it: StringDataRightTruncation (22001)"


def test_looking_makes_nothing(sink: PostgresSink, asked: Ask) -> None:
    assert run(sink.inspect()) == {"sink": sink.name, "table": NOT_THERE}
    assert (run(sink.is_empty()), sink.sink_id(), sink.marks()) == (True, None, ())
    assert asked("SELECT FROM pg_namespace WHERE nspname = %s", schema_of(sink)) == []
    upsert(sink, ADA)
    assert run(sink.inspect()) == {"sink": sink.name, "contacts": "1"}
    assert not run(sink.is_empty())
    asked("TRUNCATE {table}")
    assert run(sink.is_empty())


# ── what cannot be stored ────────────────────────────────────────────────────────────────────


@pytest.fixture
def newest_sink(newest_postgres_url: str) -> Iterator[PostgresSink]:
    sink = PostgresSink(newest_postgres_url)
    run(sink.check())
    yield sink
    run(sink.aclose())


ODD = ["", "\0", "\ud800", "a\udfff", "'\"\\{}%", "\U0001f600", "\x7f\x1b", "NULL", "\ufeff"]
ANY_TEXT = st.lists(st.sampled_from(ODD) | st.characters(), max_size=4).map("".join)


@settings(max_examples=tries(60, 1000), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    contacts=st.lists(
        st.builds(
            Contact, external_id=ANY_TEXT, source=ANY_TEXT, first_name=ANY_TEXT, emails=st.tuples(ANY_TEXT)
        ),
        max_size=4,
        unique_by=lambda contact: (contact.external_id, contact.source),
    )
)
def test_any_text_is_stored_as_it_is_or_rejected_alone(
    newest_postgres_url: str, newest_sink: PostgresSink, contacts: list[Contact]
) -> None:
    ask(newest_postgres_url, "DELETE FROM {table}")
    bad = [contact for contact in contacts if any(map(is_bad, texts_of(contact)))]
    good = {contact for contact in contacts if contact not in bad}
    result = upsert(newest_sink, *contacts)
    assert (result.created, len(result.rejects)) == (len(good), len(bad))
    assert in_postgres(newest_postgres_url) == good
    assert upsert(newest_sink, *contacts).unchanged == len(good)
    assert not isinstance(run(newest_sink.would_blank(contacts)), Failure)
    for contact in contacts:
        assert run(newest_sink.delete(contact.source, [contact.external_id])) == (contact in good)
        assert not isinstance(run(newest_sink.known(contact.source)), Failure)


def texts_of(contact: Contact) -> str:
    return f"{contact.external_id}{contact.source}{contact.first_name}{contact.emails[0]}"


def is_bad(character: str) -> bool:
    return character == "\0" or "\ud800" <= character <= "\udfff"


def test_a_text_that_cannot_be_sent_is_named_by_its_field_and_not_quoted(sink: PostgresSink) -> None:
    (reject,) = upsert(sink, replace(ADA, emails=("secret\0",)), NOBODY).rejects
    assert reject == Reject(
        record_id="a1", reason="its emails holds a NUL or half a surrogate, which PostgreSQL cannot store"
    )


def test_nothing_stays_of_a_page_in_which_something_raises_midway(
    full: PostgresSink, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = [*many(300, role="new"), replace(ADA, role="changed\0")]
    with monkeypatch.context() as patch:
        patch.setattr("syncfsm.sinks.postgres.sink.without_unsendable", lambda contacts: (contacts, ()))
        patch.setattr("syncfsm.sinks.postgres.page.is_refusal", lambda _error: False)
        patch.setattr("syncfsm.sinks.postgres.contacts.is_refusal", lambda _error: False)
        assert isinstance(run(full.upsert_marked(page, MARK)), Failure)
        with pytest.raises(UnicodeEncodeError):
            run(full.upsert_marked([*page[:300], replace(ADA, role="\ud800")], MARK))
        patch.setattr(Marks, "set", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(full.upsert_marked(page[:300], MARK))
    assert (asked("SELECT count(*) FROM {table}"), full.marks()) == ([(2,)], ())
    assert upsert(full, *page[:300], ADA) == UpsertResult(created=300, unchanged=1)


def a_trigger(body: str, when: str = "BEFORE INSERT OR UPDATE ON {table}", kind: str = "") -> str:
    """Return statements that make a trigger for each row."""
    return (
        "CREATE FUNCTION {schema}.f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN " + body + " END$$; "
        f"CREATE {kind} TRIGGER t {when} FOR EACH ROW EXECUTE FUNCTION {{schema}}.f()"
    )


REFUSALS = {
    "a check": (
        "ALTER TABLE {table} ADD CONSTRAINT no_dukes CHECK (role <> 'Duke')",
        "PostgreSQL refuses it: CheckViolation (23514), constraint no_dukes",
    ),
    "a trigger that raises": (
        a_trigger("IF NEW.role = 'Duke' THEN RAISE 'secret %%', NEW.first_name; END IF; RETURN NEW;"),
        "PostgreSQL refuses it: RaiseException (P0001)",
    ),
    "one that waits for the commit": (
        a_trigger(
            "IF NEW.role = 'Duke' THEN RAISE 'secret'; END IF; RETURN NULL;",
            "AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED",
            "CONSTRAINT",
        ),
        "PostgreSQL refuses it: RaiseException (P0001)",
    ),
    "one that keeps it out": (
        a_trigger("IF NEW.role = 'Duke' THEN RETURN NULL; END IF; RETURN NEW;"),
        "a trigger of the table keeps it out",
    ),
    "a row that must name somebody": (
        "UPDATE {table} SET first_name = ''; ALTER TABLE {table} ALTER first_name SET NOT NULL",
        "PostgreSQL refuses it: NotNullViolation (23502), column first_name",
    ),
}


@pytest.mark.parametrize(("statement", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_what_the_server_refuses_is_rejected_alone(
    full: PostgresSink, asked: Ask, statement: str, reason: str
) -> None:
    asked(statement)
    duke = {"role": "Duke", "first_name": None if "NOT NULL" in statement else "Arthur"}
    page = many(20, role="Count", first_name="Carl")
    page[7] = replace(page[7], **duke)
    refused = [page[7].external_id, "a1"]
    result = run(full.upsert_marked([*page, replace(ADA, **duke), replace(NOBODY, first_name="N")], MARK))
    assert isinstance(result, UpsertResult)
    assert (result.created, result.updated, result.unchanged) == (19, 1, 0)
    assert sorted(result.rejects, key=lambda reject: reject.record_id) == [
        Reject(record_id=record_id, reason=reason) for record_id in sorted(refused)
    ]
    assert asked("SELECT count(*) FROM {table} WHERE role = 'Duke'") == [(0,)]
    assert full.marks() == (MARK,)


def test_what_would_befall_every_row_is_no_reject(full: PostgresSink, asked: Ask) -> None:
    asked(a_trigger("RAISE 'full' USING ERRCODE = '53100';", "BEFORE INSERT ON {table}"))
    failure = run(full.upsert([*many(3), replace(ADA, role="Countess")]))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_retryable) == (FailureKind.UNWRITABLE, False)
    assert "the server's disk is full; make room on it" in failure.message
    assert upsert(full, ADA, NOBODY) == UpsertResult(unchanged=2)
