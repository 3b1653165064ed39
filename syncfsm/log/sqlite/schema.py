"""The tables of a SQLite log, made by sqlite-utils migrations.

`events` is the truth: append-only by triggers, unique in (stream, version). `processes` is a read model,
changed in the same transaction, with a snapshot of the state; its partial unique index is what refuses a
second active sync of the same source object, even between two workers. `captures` is empty unless a sync was
asked to keep what came; it is personal data, and may be deleted. `inbox` has what webhooks told of until a
process has seen to it; it is emptied by and by.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("syncfsm.log")

SHADOWS = {
    "m003_modes": "CREATE TEMP VIEW processes AS SELECT *, 'initial' AS mode FROM main.processes",
    "m004_captures": "CREATE TEMP TABLE captures (id, stream, version, at, request, as_of, body)",
    "m005_inbox": "CREATE TEMP TABLE inbox (id, source, object, key, record_ids, received_at, process)",
}
"""What a connection that only reads makes for itself, in memory, of a migration that the log has not had: an
older log can be read by every command that writes nothing. Each migration after the second has its entry."""


@migrations()
def m001_events(db: Database) -> None:
    """Create the events, closed against any change."""
    db.execute("""
        CREATE TABLE events (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            stream   TEXT NOT NULL,
            version  INTEGER NOT NULL CHECK (version > 0),
            type     TEXT NOT NULL,
            schema   INTEGER NOT NULL,
            at       TEXT NOT NULL,
            data     TEXT NOT NULL,
            meta     TEXT NOT NULL,
            digest   TEXT NOT NULL,
            UNIQUE (stream, version)
        ) STRICT
    """)
    for verb in ("UPDATE", "DELETE"):
        db.execute(f"""
            CREATE TRIGGER events_refuse_{verb.lower()} BEFORE {verb} ON events
            BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """)


@migrations()
def m002_processes(db: Database) -> None:
    """Create the read model."""
    db.execute("""
        CREATE TABLE processes (
            id              TEXT PRIMARY KEY,
            source          TEXT NOT NULL,
            object          TEXT NOT NULL,
            sink            TEXT NOT NULL,
            state           TEXT NOT NULL,
            version         INTEGER NOT NULL,
            started_at      TEXT NOT NULL,
            updated_at      TEXT NOT NULL,
            watermark       TEXT,
            snapshot        TEXT,
            snapshot_schema INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE UNIQUE INDEX one_active_sync ON processes (source, object)
        WHERE state IN ('INITIALIZING', 'FETCHING')
    """)
    db.execute("CREATE INDEX processes_by_source ON processes (source, object, sink)")


@migrations()
def m003_modes(db: Database) -> None:
    """Tell retries of rejects from syncs of all records; until now there were only these."""
    db.execute("ALTER TABLE processes ADD COLUMN mode TEXT NOT NULL DEFAULT 'initial'")


@migrations()
def m004_captures(db: Database) -> None:
    """Create the room for what came from outside, for syncs that keep it; it may be deleted again."""
    db.execute("""
        CREATE TABLE captures (
            id      INTEGER PRIMARY KEY,
            stream  TEXT NOT NULL,
            version INTEGER NOT NULL,
            at      TEXT NOT NULL,
            request TEXT NOT NULL,
            as_of   TEXT NOT NULL,
            body    BLOB NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX captures_by_stream ON captures (stream)")


@migrations()
def m005_inbox(db: Database) -> None:
    """Create the room for what webhooks tell of. A key counts once; without one, each notice counts."""
    db.execute("""
        CREATE TABLE inbox (
            id          INTEGER PRIMARY KEY,
            source      TEXT NOT NULL,
            object      TEXT NOT NULL,
            key         TEXT,
            record_ids  TEXT NOT NULL,
            received_at TEXT NOT NULL,
            process     TEXT,
            UNIQUE (source, object, key)
        ) STRICT
    """)
    db.execute("CREATE INDEX inbox_by_process ON inbox (process)")
    db.execute("CREATE INDEX processes_stopped ON processes (id) WHERE state IN ('CANCELLED', 'FAILED')")
