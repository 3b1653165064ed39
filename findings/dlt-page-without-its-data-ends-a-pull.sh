#!/usr/bin/env bash
# dlt 1.31.0: where `data_selector` finds nothing, a page is empty, and so the last: the rest is not asked for.
#
# Some APIs say what went wrong within a 200: `{"error": "busy, try again"}`. `data_selector: "data"` finds no key of
# that name there, which is the same to the paginator as a list that is empty, and by default a page that is empty
# is the last. The load is a success. With `write_disposition: "replace"`, as for a table that is pulled whole, the
# table then holds the first pages only, and the rows that it had before of all others are gone.
#
# What it printed, for 100 people in pages of 20 pulled twice, the second time with such an answer to the third request:
#
#     first pull: 6 requests, 100 people in the table, failed jobs: False
#     second pull: 3 requests, 40 people in the table, failed jobs: False
#
# Fails if one of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'dlt[duckdb]==1.31.0'
cd "$folder"
export HOME="$folder" RUNTIME__DLTHUB_TELEMETRY=false
"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import dlt
from dlt.sources.rest_api import rest_api_source

asked = []
busy_at = []


class Busy(BaseHTTPRequestHandler):
    def do_GET(self):
        query = {key: int(values[0]) for key, values in parse_qs(urlsplit(self.path).query).items()}
        asked.append(query["offset"])
        rows = range(query["offset"], min(query["offset"] + query["limit"], 100))
        answer = {"error": "busy, try again"} if len(asked) in busy_at else {"data": [{"id": row} for row in rows]}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
pipeline = dlt.pipeline("people", pipelines_dir="pipelines", destination=dlt.destinations.duckdb("people.duckdb"))


def pulled(name):
    asked.clear()
    paginator = {"type": "offset", "limit": 20, "total_path": None}
    endpoint = {"path": "people", "data_selector": "data", "paginator": paginator}
    people = {"name": "people", "write_disposition": "replace", "endpoint": endpoint}
    client = {"base_url": f"http://127.0.0.1:{server.server_port}"}
    load = pipeline.run(rest_api_source({"client": client, "resources": [people]}))
    with pipeline.sql_client() as database:
        ((count,),) = database.execute_sql("SELECT count(*) FROM people")
    print(f"{name}: {len(asked)} requests, {count} people in the table, failed jobs: {load.has_failed_jobs}")
    return len(asked), count, load.has_failed_jobs


first = pulled("first pull")
busy_at.append(3)
second = pulled("second pull")
assert first == (6, 100, False), first
assert second == (3, 40, False), second
PYTHON
