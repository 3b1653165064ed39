#!/usr/bin/env bash
# singer-sdk 0.54.9: its offset paginator goes on by the page size, not by what came: capped pages leave holes.
#
# `OffsetPaginator` is given a page size, and adds it to the offset after each page; the stream ends at the first page
# without records. A page of 20 where 50 were asked for is neither an end nor a failure, and the next offset is 50: rows
# 20 to 49 are never asked for. The tap ends as if all was well, and its own metric counts 40 records.
#
# What it printed, for 100 people from a server that gives at most 20:
#
#     asked for [0, 50, 100], got 40 of 100, exit status 0
#
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'singer-sdk==0.54.9'
cd "$folder"
export HOME="$folder"
cat >tap.py <<'PYTHON'
import sys

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.pagination import OffsetPaginator
from singer_sdk.streams import RESTStream


class People(RESTStream):
    name = "people"
    path = "/people"
    records_jsonpath = "$.data[*]"
    primary_keys = ("id",)
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()
    url_base = sys.argv.pop()

    def get_new_paginator(self):
        return OffsetPaginator(start_value=0, page_size=50)

    def get_url_params(self, context, next_page_token):
        return {"offset": next_page_token, "limit": 50}


class PeopleTap(Tap):
    name = "tap-people"

    def discover_streams(self):
        return [People(self)]


PeopleTap.cli()
PYTHON
"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

asked = []


class Capped(BaseHTTPRequestHandler):
    def do_GET(self):
        query = {key: int(values[0]) for key, values in parse_qs(urlsplit(self.path).query).items()}
        asked.append(query["offset"])
        rows = range(query["offset"], min(query["offset"] + min(query["limit"], 20), 100))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": row} for row in rows]}).encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Capped)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
tap = subprocess.run([sys.executable, "tap.py", url], stdout=subprocess.PIPE, text=True)
messages = [json.loads(line) for line in tap.stdout.splitlines()]
got = [message["record"]["id"] for message in messages if message["type"] == "RECORD"]
print(f"asked for {asked}, got {len(got)} of 100, exit status {tap.returncode}")
assert asked == [0, 50, 100], asked
assert got == [*range(20), *range(50, 70)], got
assert tap.returncode == 0, tap.returncode
PYTHON
