"""Where a PostgreSQL database is: what a URL says, and that no secret of it is ever shown."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from syncfsm.errors import ConfigurationError
from syncfsm.postgres.address import parse
from syncfsm.postgres.connection import connect
from syncfsm.postgres.errors import advice, is_locked, is_lost, refusal_advice

SECRET = "Tr0ub4dor"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"postgresql://ada:{SECRET}@db.example:5433/crm", "postgresql://ada@db.example:5433/crm"),
        (f"postgres://ada:{SECRET}@db.example/crm", "postgresql://ada@db.example/crm"),
        (f"postgresql://ada@h/crm?password={SECRET}", "postgresql://ada@h/crm"),
        (f"postgresql://h/crm?user=ada&password={SECRET}", "postgresql://ada@h/crm"),
        (f"postgresql://h/crm?sslpassword={SECRET}&sslmode=require", "postgresql://h/crm"),
        (f"postgresql://h/crm?passfile={SECRET}", "postgresql://h/crm"),
        (f"postgresql://a:{SECRET}@h1:1,h2:2/crm", "postgresql://a@h1:1,h2:2/crm"),
        (f"postgresql://a:{SECRET}@h1,h2:2/crm", "postgresql://a@h1,h2:2/crm"),
        (f"postgresql://a:{SECRET}%40%2F@[::1]:5432/crm", "postgresql://a@[::1]:5432/crm"),
        ("postgresql://a:@/crm?host=/run/pg", "postgresql://a@/crm?host=/run/pg"),
        ("postgresql://a%40b@h/c%3Fd?schema=our%20syncs", "postgresql://a%40b@h/c%3Fd?schema=our%20syncs"),
        ("postgresql://h/crm?schema=syncfsm", "postgresql://h/crm"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_the_name_leads_to_the_same_place_and_has_no_password(url: str, name: str) -> None:
    address = parse(url)
    assert address.name == name
    assert SECRET not in f"{address!r} {address} {address.name}"
    again = parse(name)
    assert (again.name, again.schema) == (name, address.schema)
    assert "schema" not in address.conninfo


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:x@{SECRET}@h/crm",
        f"postgresql://ada:{SECRET}/x@h/crm",
        f"postgresql://ada:x/{SECRET}@h/crm",
        f"postgresql://ada:{SECRET}?x@h/crm",
        f"postgresql://ada:x?{SECRET}@h/crm",
        f"postgresql://ada:x?schema={SECRET}@h/crm",
        f"postgresql://ada:{SECRET}%zz@h/crm",
        f"postgresql://h/crm?pass={SECRET}",
        f"postgresql:/ada:{SECRET}@h/crm",
        f"postgres:{SECRET}",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(url)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("schema", ["", "pg_catalog", "information_schema", "x" * 64, "a%00b", "a&schema=b"])
def test_a_schema_that_cannot_be_ours_is_refused(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        parse(f"postgresql://h/crm?schema={schema}")


def refusal(url: str) -> str:
    with pytest.raises(psycopg.Error) as refused:
        connect(parse(url), purpose="test").close()
    assert is_lost(refused.value)
    return refusal_advice(refused.value)


def test_why_no_connection_was_made_is_said_with_what_to_do(newest_postgres_url: str) -> None:
    there = parse(newest_postgres_url)
    assert "no server answers at that host and port" in refusal("postgresql://ada@127.0.0.1:1/crm")
    assert "no such host" in refusal("postgresql://ada@nowhere.invalid/crm")
    assert "no server answers on this machine" in refusal("postgresql:///crm?host=/nowhere")
    if "host=/" in there.name:
        assert "no such database" in refusal(there.name.replace("/postgres?", "/nowhere?"))
        assert "no such user" in refusal(there.name.replace("postgres@", "nobody@"))


def test_an_error_goes_by_its_code_and_never_by_its_words(newest_postgres_url: str) -> None:
    with connect(parse(newest_postgres_url), purpose="test", read_only=True) as connection:
        with pytest.raises(psycopg.Error) as refused:
            connection.execute("CREATE TABLE t ()")
        assert "takes no writes" in str(advice(refused.value))
        with pytest.raises(psycopg.Error) as broken:
            connection.execute("SELECT 'the disk is full: lock timeout' FROM nowhere")
        assert (advice(broken.value), is_lost(broken.value), is_locked(broken.value)) == (None, False, False)
        assert connection.execute("SHOW application_name").fetchone() == ("syncfsm test",)


def test_a_lost_connection_and_a_held_lock_are_told_apart(newest_postgres_url: str) -> None:
    address = parse(newest_postgres_url)
    with connect(address, purpose="one") as one, connect(address, purpose="two") as two:
        one.execute("SELECT pg_advisory_lock(1)")
        two.execute("SET lock_timeout = '1ms'")
        with pytest.raises(psycopg.Error) as held:
            two.execute("SELECT pg_advisory_lock(1)")
        assert (is_locked(held.value), is_lost(held.value)) == (True, False)
        one.execute("SELECT pg_terminate_backend(%s)", (two.info.backend_pid,))
        with pytest.raises(psycopg.Error) as lost:
            two.execute("SELECT 1")
        assert (is_locked(lost.value), is_lost(lost.value)) == (False, True)


def test_nothing_of_syncfsm_loads_the_driver_unless_it_is_used() -> None:
    code = "import sys, syncfsm, syncfsm.cli, syncfsm.log, syncfsm.sinks; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "psycopg" not in run.stdout.split()


def test_where_the_driver_is_missing_its_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from syncfsm.postgres.driver import require_driver\n"
        "try: require_driver()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "ConfigurationError PostgreSQL is an extra: pip install 'syncfsm[postgres]'\n"
