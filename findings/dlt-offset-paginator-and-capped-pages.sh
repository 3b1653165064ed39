#!/usr/bin/env bash
# dlt 1.31.0: its offset paginator goes on by the limit, not by what came: a server that caps pages leaves holes.
#
# Many APIs cut a page at a maximum of their own and say nothing. Asked for 50 rows and given 20, `OffsetPaginator`
# asks next for offset 50: rows 20 to 49 are never asked for. It ends at the first empty page, and the load is a
# success. With the documented `total_path` it is the same: the total ends the pull, and is compared with nothing.
#
# What it printed, for 100 people from a server that gives at most 20:
#
#     without a total: asked for [0, 50, 100], got 40 of 100: 0-19, 50-69; failed jobs: False
#     with a total: asked for [0, 50], got 40 of 100: 0-19, 50-69; failed jobs: False
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


class Capped(BaseHTTPRequestHandler):
    def do_GET(self):
        query = {key: int(values[0]) for key, values in parse_qs(urlsplit(self.path).query).items()}
        asked.append(query["offset"])
        rows = range(query["offset"], min(query["offset"] + min(query["limit"], 20), 100))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": row} for row in rows], "total": 100}).encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Capped)
threading.Thread(target=server.serve_forever, daemon=True).start()


def pulled(name, total_path):
    asked.clear()
    paginator = {"type": "offset", "limit": 50, "total_path": total_path}
    people = {"name": "people", "endpoint": {"path": "people", "data_selector": "data", "paginator": paginator}}
    client = {"base_url": f"http://127.0.0.1:{server.server_port}"}
    pipeline = dlt.pipeline(name, pipelines_dir="pipelines", destination=dlt.destinations.duckdb(f"{name}.duckdb"))
    load = pipeline.run(rest_api_source({"client": client, "resources": [people]}))
    with pipeline.sql_client() as database:
        got = [id_ for (id_,) in database.execute_sql("SELECT id FROM people ORDER BY id")]
    return [*asked], got, load.has_failed_jobs


def shown(got):
    starts = [id_ for id_ in got if id_ - 1 not in got]
    ends = [id_ for id_ in got if id_ + 1 not in got]
    return ", ".join(f"{start}-{end}" for start, end in zip(starts, ends))


holes = [*range(20), *range(50, 70)]
for name, total_path, offsets in (("without a total", None, [0, 50, 100]), ("with a total", "total", [0, 50])):
    requests, got, has_failed = pulled(name.replace(" ", "_"), total_path)
    print(f"{name}: asked for {requests}, got {len(got)} of 100: {shown(got)}; failed jobs: {has_failed}")
    assert requests == offsets, requests
    assert got == holes, got
    assert not has_failed
PYTHON
