#!/usr/bin/env bash
# airbyte-cdk 7.39.1: `WaitTimeFromHeader` reads no HTTP date, and of its regex the whole match, not the capture group.
#
# The strategy is made for `Retry-After`, which may be seconds or a date (RFC 9110, 10.2.3). Its `regex` is described
# as one that "should define a capture group defining the wait time", which a header with more in it needs, such as
# `RateLimit: "default";r=0;t=3`. A date is no number, and neither is the whole of what `.*t=(\d+)` matches: both are
# passed over without a word, and waits are guessed instead, 1, 2, 4, 8, 16 seconds. What comes too early is refused
# again, and after the sixth refusal, 31 seconds on, the stream fails, though the server had said when to come.
# `WaitUntilTimeFromHeader` reads no date either, only seconds since 1970.
#
# What it printed:
#
#     Retry-After: 3 → asked again after 4 s, 1 record, exit status 0
#     RateLimit with t=3, regex .*t=(\d+) → asked again after 1 s, 1 record, exit status 0
#     Retry-After: a date 45 s ahead → asked again after 1, 3, 7, 15, 31 s, 0 records, exit status 1
#
# Fails if one of this changes. It takes about a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'airbyte-cdk==7.39.1'
cd "$folder"
export HOME="$folder"
"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
import json
import subprocess
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Refuses for so many seconds from the first request on, each time with the same headers; then answers."""

    def __init__(self, for_s, headers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.for_s, self.named, self.came_s = for_s, headers, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.came_s.append(time.monotonic())
        is_refused = self.server.came_s[-1] - self.server.came_s[0] < self.server.for_s
        self.send_response(429 if is_refused else 200)
        self.send_header("content-type", "application/json")
        for name, value in self.server.named.items() if is_refused else ():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps({} if is_refused else {"data": [{"id": 1}]}).encode())

    def log_message(self, *_):
        pass


def read(for_s, headers, strategy):
    server = Server(for_s, headers)
    stream = {
        "type": "DeclarativeStream",
        "name": "people",
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": f"http://127.0.0.1:{server.server_port}",
                "path": "/people",
                "error_handler": {"type": "DefaultErrorHandler", "backoff_strategies": [strategy]},
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            },
        },
    }
    manifest = {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["people"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "additionalProperties": True}},
    }
    people = {"name": "people", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": people, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    with open("config.json", "w") as file:
        json.dump({"__injected_declarative_manifest": manifest}, file)
    with open("catalog.json", "w") as file:
        json.dump({"streams": [chosen]}, file)
    command = ["venv/bin/source-declarative-manifest", "read", "--config", "config.json", "--catalog", "catalog.json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    records = sum('"type":"RECORD"' in line for line in ended.stdout.splitlines())
    came_s = [round(at - server.came_s[0]) for at in server.came_s[1:]]
    server.shutdown()
    return came_s, records, ended.returncode


def shown(what, came_s, records, status):
    times = ", ".join(map(str, came_s))
    plural = "" if records == 1 else "s"
    print(f"{what} → asked again after {times} s, {records} record{plural}, exit status {status}")


wait = {"type": "WaitTimeFromHeader", "header": "Retry-After"}
seconds = read(0.5, {"Retry-After": "3"}, wait)
shown("Retry-After: 3", *seconds)
named = {"type": "WaitTimeFromHeader", "header": "RateLimit", "regex": r".*t=(\d+)"}
group = read(0.5, {"RateLimit": '"default";r=0;t=3'}, named)
shown(r"RateLimit with t=3, regex .*t=(\d+)", *group)
date = read(45, {"Retry-After": formatdate(time.time() + 45, usegmt=True)}, wait)
shown("Retry-After: a date 45 s ahead", *date)
assert seconds == ([4], 1, 0), seconds  # it waits a second more than it is told
assert group == ([1], 1, 0), group
assert date == ([1, 3, 7, 15, 31], 0, 1), date
PYTHON
