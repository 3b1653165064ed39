"""The tables of a SQLite log, made by sqlite-utils migrations.

`events` is the truth: append-only by triggers, unique in (stream, version). `tally` counts them, whoever
writes. `processes` is a read model, changed in the same transaction, with a snapshot of the state; its
partial unique index is what refuses a second active sync of the same source object, even between two workers.
`prunings` has what stands for events that were pruned: only those go whose process is in `pruning_now`, which
it is within the transaction that writes down that it went, and for no longer.
`captures` is empty unless a sync was asked to keep what came; it is personal data, and may be deleted.
`inbox` has what webhooks told of until a process has seen to it; it is emptied by and by. The rows of both
have checksums (`checksums.py`): a migration that gives those that are there a new value seals them anew.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from syncfsm.log import sides
from syncfsm.log.pruning.rows import COLUMNS as PRUNING_COLUMNS
from syncfsm.log.sqlite.checksums import SEALED, seal

migrations = Migrations("syncfsm.log")

FETCHING_POSITION = """(
    SELECT position FROM events WHERE stream = processes.id AND type = 'FetchingBegan'
    ORDER BY version LIMIT 1
)"""
"""The place of the event with which a process began to fetch, which it does once; null before."""


def _of_event(where: str, value: str) -> str:
    return f"(SELECT {value} FROM events WHERE stream = processes.id AND {where})"  # noqa: S608 - all ours


def _field(name: str) -> str:
    """Return a field of an event's data; null if it has none, or if the data was damaged."""
    return f"iif(json_valid(data), data ->> '$.{name}', NULL)"


def _count(name: str) -> str:
    """Return how many records the pages of a process have counted under a name."""
    return _of_event("type = 'PageDelivered'", f"CAST(total({_field(name)}) AS INTEGER)")


_DONE = "version = processes.version AND type = 'SyncCompleted'"

_ROUTES = {
    "position": f"coalesce({_of_event('version = 1', 'position')}, 0)",
    "fetching_position": FETCHING_POSITION,
    "changed_by": _of_event("version = 1", _field("changed_by")),
    "created": _count("created"),
    "updated": _count("updated"),
    "unchanged": _count("unchanged"),
    "deleted": _count("deleted"),
    "missing": _of_event(_DONE, f"CAST(total({_field('missing')}) AS INTEGER)"),
}
"""The columns of `m006_routes`, as the events of an older log have them."""

_REFUSED = "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"

_KEPT = "BEGIN SELECT RAISE(ABORT, 'what was pruned is kept for good'); END"

TRIGGERS = {
    "events_refuse_update": f"BEFORE UPDATE ON events {_REFUSED}",
    "events_refuse_delete": f"BEFORE DELETE ON events {_REFUSED}",
    "events_refuse_replace": f"""BEFORE INSERT ON events
        WHEN EXISTS (SELECT 1 FROM events WHERE position = NEW.position)
            OR EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND version = NEW.version)
        {_REFUSED}""",  # noqa: S608 - ours
    "events_refuse_unpruned": f"""BEFORE DELETE ON events
        WHEN OLD.stream NOT IN (SELECT stream FROM pruning_now) {_REFUSED}""",  # noqa: S608 - ours
    "prunings_refuse_update": f"BEFORE UPDATE ON prunings {_KEPT}",
    "prunings_refuse_delete": f"BEFORE DELETE ON prunings {_KEPT}",
    "prunings_refuse_replace": f"""BEFORE INSERT ON prunings
        WHEN EXISTS (SELECT 1 FROM prunings WHERE number = NEW.number) {_KEPT}""",  # noqa: S608 - ours
    "events_tally": """AFTER INSERT ON events
        BEGIN UPDATE tally SET events = events + 1, position = NEW.position, digest = NEW.digest; END""",
}
"""All that there are, by name. `INSERT OR REPLACE` deletes what is in its way without a word to the second,
unless `recursive_triggers` is on; the third does not depend on who writes. `events_refuse_delete` is that of
logs which nothing can be pruned from yet."""

_SHADOW_TABLES = {
    "m004_captures": "CREATE TEMP TABLE captures (id, stream, version, at, request, as_of, body)",
    "m005_inbox": "CREATE TEMP TABLE inbox (id, source, object, key, record_ids, received_at, process, gone)",
    "m007_guards": "CREATE TEMP TABLE tally (id, events, position, digest)",
    "m010_prunings": f"CREATE TEMP TABLE prunings ({PRUNING_COLUMNS})",
    "m008_told": "CREATE TEMP VIEW inbox AS SELECT *, NULL AS gone FROM main.inbox",
}

_SHADOW_SIDES = f"CREATE TEMP VIEW sides AS {sides.OF_PROCESSES.format(s='')}"
"""Of `m009_sides`; made last, since it may be of a view of `processes`."""

_SHADOW_COLUMNS = {
    "m003_modes": ["'initial' AS mode"],
    "m006_routes": [f"{value} AS {name}" for name, value in _ROUTES.items()],
}
"""Of `processes`."""

SHADOWS = _SHADOW_TABLES.keys() | _SHADOW_COLUMNS.keys() | {"m009_sides"}
"""The migrations that a connection which only reads can do without: an older log can be read by every command
that writes nothing. Each migration after the second has to be one."""


def shadows(applied: AbstractSet[str]) -> list[str]:
    """Return what a connection makes for itself, in memory, of the migrations that a log has not had."""
    columns = [column for name, more in _SHADOW_COLUMNS.items() if name not in applied for column in more]
    lacking = [name for name in _SHADOW_TABLES if name not in applied]
    if "m005_inbox" in lacking:
        lacking.remove("m008_told")  # the table that stands for the first has the column of the other
    made = [_SHADOW_TABLES[name] for name in lacking]
    if columns:
        more = ", ".join(columns)
        made.append(f"CREATE TEMP VIEW processes AS SELECT *, {more} FROM main.processes")  # noqa: S608 - ours
    if "m009_sides" not in applied:
        made.append(_SHADOW_SIDES)
    return made


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
    _create_triggers(db, "events_refuse_update", "events_refuse_delete")


def _create_triggers(db: Database, *names: str) -> None:
    for name in names:
        db.execute(f"CREATE TRIGGER {name} {TRIGGERS[name]}")


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


@migrations()
def m006_routes(db: Database) -> None:
    """Make columns of what is asked about routes: where a process began, and what it left in its sink."""
    for column in ("position", "created", "updated", "unchanged", "deleted", "missing"):
        db.execute(f"ALTER TABLE processes ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE processes ADD COLUMN fetching_position INTEGER")
    db.execute("ALTER TABLE processes ADD COLUMN changed_by TEXT")
    filled = ", ".join(f"{name} = {value}" for name, value in _ROUTES.items())
    db.execute(f"UPDATE processes SET {filled}")  # noqa: S608 - ours
    db.execute("DROP INDEX processes_by_source")
    db.execute("CREATE INDEX processes_by_route ON processes (source, object, sink, mode, position)")
    db.execute("CREATE INDEX processes_by_fetching ON processes (source, sink, fetching_position)")


@migrations()
def m007_guards(db: Database) -> None:
    """Refuse what would replace an event, count the events, and give the rows that may go a checksum."""
    db.execute("""
        CREATE TABLE tally (
            id       INTEGER PRIMARY KEY CHECK (id = 1),
            events   INTEGER NOT NULL,
            position INTEGER NOT NULL,
            digest   TEXT NOT NULL
        ) STRICT
    """)
    db.execute("""
        INSERT INTO tally SELECT 1, count(*), coalesce(max(position), 0),
            coalesce((SELECT digest FROM events ORDER BY position DESC LIMIT 1), '') FROM events
    """)
    _create_triggers(db, "events_refuse_replace", "events_tally")
    for table in SEALED:
        db.execute(f"ALTER TABLE {table} ADD COLUMN digest TEXT")
        for (id_,) in db.execute(f"SELECT id FROM {table}").fetchall():  # noqa: S608 - ours
            seal(db.conn, table, id_)


@migrations()
def m008_told(db: Database) -> None:
    """Keep who a notice says is gone; null for those that wait already, of which it was not kept."""
    db.execute("ALTER TABLE inbox ADD COLUMN gone TEXT")


@migrations()
def m009_sides(db: Database) -> None:
    """Keep what is asked at each start beside the processes: it costs the same however many there are."""
    db.execute("""
        CREATE TABLE sides (
            source            TEXT NOT NULL,
            object            TEXT NOT NULL,
            sink              TEXT NOT NULL,
            mode              TEXT NOT NULL,
            changed_by        TEXT NOT NULL,
            first_position    INTEGER NOT NULL,
            last_position     INTEGER NOT NULL,
            last_id           TEXT NOT NULL,
            done_id           TEXT,
            done_at           TEXT,
            done_position     INTEGER,
            watermark         TEXT,
            items_left        INTEGER NOT NULL DEFAULT 0,
            fetching_position INTEGER,
            found             TEXT,
            PRIMARY KEY (source, object, sink, mode, changed_by)
        ) STRICT
    """)
    db.execute(sides.MADE.format(s=""))
    db.execute("UPDATE processes SET snapshot = NULL WHERE version < 9")  # they are folded
    db.execute("DROP INDEX processes_by_route")
    db.execute("DROP INDEX processes_by_fetching")
    db.execute("CREATE INDEX processes_by_position ON processes (position)")
    db.execute("""
        CREATE INDEX processes_by_end ON processes (updated_at)
        WHERE state IN ('COMPLETED', 'FAILED', 'CANCELLED')
    """)


@migrations()
def m010_prunings(db: Database) -> None:
    """Create the room for what stands for pruned events, and let these go by pruning, and by that alone."""
    db.execute("""
        CREATE TABLE prunings (
            number         INTEGER PRIMARY KEY,
            source         TEXT NOT NULL,
            object         TEXT NOT NULL,
            sink           TEXT NOT NULL,
            mode           TEXT NOT NULL,
            changed_by     TEXT NOT NULL,
            first_position INTEGER NOT NULL,
            last_position  INTEGER NOT NULL,
            end_position   INTEGER NOT NULL,
            wrote_position INTEGER NOT NULL,
            watermark      TEXT,
            items_left     INTEGER NOT NULL,
            at             TEXT NOT NULL,
            data           TEXT NOT NULL,
            digest         TEXT NOT NULL
        ) STRICT
    """)
    db.execute("CREATE TABLE pruning_now (stream TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")
    db.execute("DROP TRIGGER events_refuse_delete")
    _create_triggers(
        db,
        "events_refuse_unpruned",
        "prunings_refuse_update",
        "prunings_refuse_delete",
        "prunings_refuse_replace",
    )
