"""Opening a log's schema: made where it is missing, migrated where it is older, refused where it is newer.

Migrations run in one transaction, under a lock that is the schema's: of two workers that start at once, one
does it, and the other finds it done.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from syncfsm.errors import LogError, LogNotFound
from syncfsm.log.postgres.schema import MIGRATIONS, MIGRATIONS_TABLE, TABLES, Migration
from syncfsm.log.postgres.session import Session
from syncfsm.log.refusals import NewerLog
from syncfsm.postgres.connection import Connection

MIGRATION_TIMEOUT_S = 60
"""How long to wait for another worker that migrates, or for what it must lock."""

_FOUND = """
SELECT n.oid IS NOT NULL,
    to_regclass({log_migrations}) IS NOT NULL,
    (SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relname = ANY (%s))
FROM (SELECT 1) AS one LEFT JOIN pg_namespace AS n ON n.nspname = %s
"""


def prepare(
    session: Session, *, read_only: bool, create: bool, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """See that a log is there which this code can use; make or migrate it where that is wanted.

    Raises:
        LogNotFound: There is none, and none is to be made.
        NewerLog: A newer syncfsm made it.
        LogError: The schema has tables of the same names that are no log's; or an older log is only read.
        LogUnwritable: It cannot be made or migrated now.
    """
    number = applied(session)
    if number == len(migrations):
        return
    _refuse_newer(session, number, migrations)
    if number == 0 and (read_only or not create):
        raise LogNotFound(f"there is no log {session.name}: check the URL; `syncfsm sync --log` makes one")
    if read_only:
        raise LogError(
            f"the log {session.name} is older than this syncfsm, which reads it once a worker of this "
            "version has opened it to write, and so has brought it up to date"
        )
    with session.translated():
        _migrate(session, migrations)


def applied(session: Session) -> int:
    """Return the number of the last migration that a log has had, 0 if there is no log.

    Raises:
        LogError: What is there is none.
    """
    has_schema, has_migrations, tables = session.one(_FOUND, (list(TABLES), session.address.schema))
    if has_migrations:
        (number,) = session.one("SELECT coalesce(max(number), 0) FROM {s}.log_migrations")
        return int(number)
    if has_schema and tables:
        raise LogError(
            f"the schema {session.address.schema} has other tables of the names {', '.join(tables)}, and is "
            f"no syncfsm log: name another schema of {session.name} by ?schema=NAME"
        )
    return 0


def _refuse_newer(session: Session, number: int, migrations: Sequence[Migration]) -> None:
    if number > len(migrations):
        raise NewerLog(
            f"the log {session.name} was made by a newer syncfsm (migration {number}, and this one knows "
            f"{len(migrations)}): upgrade to use it"
        )


def _migrate(session: Session, migrations: Sequence[Migration]) -> None:
    connection = session.connection
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{MIGRATION_TIMEOUT_S}s",))
        key = blake2b(session.address.schema.encode(), digest_size=8).digest()
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (int.from_bytes(key, signed=True),))
        number = applied(session)  # another may have done it meanwhile
        _refuse_newer(session, number, migrations)
        if number == 0:
            _create(connection, session)
        for index, migration in enumerate(migrations[number:], start=number + 1):
            connection.execute(session.script(migration.sql))
            record = session.text("INSERT INTO {s}.log_migrations (number, name) VALUES (%s, %s)")
            connection.execute(record, (index, migration.name))


def _create(connection: Connection, session: Session) -> None:
    """Make the schema, unless it is there: where it is, the user need not be allowed to make any."""
    found = connection.execute(
        "SELECT 1 FROM pg_namespace WHERE nspname = %s", (session.address.schema,)
    ).fetchone()
    if found is None:
        connection.execute(session.text("CREATE SCHEMA {s}"), ())
    connection.execute(session.text(MIGRATIONS_TABLE), ())
