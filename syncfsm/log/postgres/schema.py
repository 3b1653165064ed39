"""The tables of a PostgreSQL log, made by numbered migrations; what writes to them is in `functions.py`.

They are those of a SQLite log. What differs, and why:

- Times and JSON are text, as the digests have them: `timestamptz` rounds, and `jsonb` reorders, rounds and
  refuses. Texts are compared by their bytes (`COLLATE "C"`), as SQLite does.
- `tally` has many rows, of which a session writes to one: a single one would let all writers wait in line for
  each other's commits.
- What may be deleted, `captures` and `inbox`, has a digest of what came, made by whoever wrote it.
- The key of a notice is kept as a digest: it may be long, or hold what no text of PostgreSQL may.

In a template, `{s}` stands for the schema, quoted, and `{events}` for the table of events as a string.
"""

from __future__ import annotations

from typing import NamedTuple

from syncfsm.log import sides
from syncfsm.log.postgres.functions import (
    ANNOUNCE,
    APPEND,
    HORIZON,
    PROJECT,
    PROJECT_WITHOUT_SIDES,
    RECEIVE,
    REFUSE,
    REFUSE_UNPRUNED,
    TALLY,
)

TALLY_ROWS = 32
"""Sessions that share a row of the tally wait for each other's commits."""

TABLES = ("events", "processes", "sides", "captures", "inbox", "tally", "prunings", "pruning_now")
"""All that there are, but for the one that records the migrations."""

TRIGGERS = {
    "events_refuse_update": "A",
    "events_refuse_delete": "A",
    "events_refuse_truncate": "A",
    "events_tally": "O",
}
"""Of the events, by name: whether each fires always, or not on a replica (`pg_trigger.tgenabled`)."""

INDEXES = (
    *("events_pkey", "events_stream_version", "events_resumed", "processes_pkey", "one_active_sync"),
    *(
        "processes_by_side",
        "processes_by_position",
        "processes_by_end",
        "processes_stopped",
        "sides_pkey",
        "captures_by_stream",
        "inbox_once",
        "inbox_by_process",
    ),
)
"""Those that a rule or a promised speed rests on."""

_EVENTS = """
CREATE TABLE {s}.events (
    position bigint GENERATED ALWAYS AS IDENTITY,
    stream   text COLLATE "C" NOT NULL,
    version  bigint NOT NULL CHECK (version > 0),
    type     text COLLATE "C" NOT NULL,
    schema   integer NOT NULL,
    at       text COLLATE "C" NOT NULL,
    data     text COLLATE "C" NOT NULL,
    meta     text COLLATE "C" NOT NULL,
    digest   text COLLATE "C" NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_stream_version UNIQUE (stream, version)
);
CREATE INDEX events_resumed ON {s}.events (position) WHERE type = 'SyncResumed';
CREATE TABLE {s}.tally (
    shard    integer PRIMARY KEY,
    events   bigint NOT NULL,
    position bigint NOT NULL,
    digest   text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
"""

_PROCESSES = """
CREATE TABLE {s}.processes (
    id                text COLLATE "C" CONSTRAINT processes_pkey PRIMARY KEY,
    source            text COLLATE "C" NOT NULL,
    object            text COLLATE "C" NOT NULL,
    sink              text COLLATE "C" NOT NULL,
    mode              text COLLATE "C" NOT NULL,
    started_at        text COLLATE "C" NOT NULL,
    state             text COLLATE "C" NOT NULL,
    version           bigint NOT NULL,
    updated_at        text COLLATE "C" NOT NULL,
    watermark         text COLLATE "C",
    changed_by        text COLLATE "C",
    created           bigint NOT NULL,
    updated           bigint NOT NULL,
    unchanged         bigint NOT NULL,
    deleted           bigint NOT NULL,
    missing           bigint NOT NULL,
    position          bigint NOT NULL,
    fetching_position bigint,
    snapshot          text COLLATE "C",
    snapshot_schema   integer NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX one_active_sync ON {s}.processes (source, object)
    WHERE state IN ('INITIALIZING', 'FETCHING');
CREATE INDEX processes_by_route ON {s}.processes (source, object, sink, mode, position);
CREATE INDEX processes_by_fetching ON {s}.processes (source, sink, fetching_position);
CREATE INDEX processes_stopped ON {s}.processes (id) WHERE state IN ('CANCELLED', 'FAILED');
"""

_CAPTURES = """
CREATE TABLE {s}.captures (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream  text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    at      text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    as_of   text COLLATE "C" NOT NULL,
    body    bytea NOT NULL,
    digest  text COLLATE "C" NOT NULL
);
ALTER TABLE {s}.captures ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX captures_by_stream ON {s}.captures (stream);
"""

_INBOX = """
CREATE TABLE {s}.inbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text COLLATE "C" NOT NULL,
    object      text COLLATE "C" NOT NULL,
    key         text COLLATE "C",
    record_ids  text COLLATE "C" NOT NULL,
    received_at text COLLATE "C" NOT NULL,
    gone        text COLLATE "C" NOT NULL,
    process     text COLLATE "C",
    digest      text COLLATE "C" NOT NULL,
    CONSTRAINT inbox_once UNIQUE (source, object, key)
);
CREATE INDEX inbox_by_process ON {s}.inbox (process);
"""

_GUARDS = """
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON {s}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse();
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON {s}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse();
CREATE TRIGGER events_refuse_truncate BEFORE TRUNCATE ON {s}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse();
CREATE TRIGGER events_tally AFTER INSERT ON {s}.events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.tally();
ALTER TABLE {s}.events ENABLE ALWAYS TRIGGER events_refuse_update;
ALTER TABLE {s}.events ENABLE ALWAYS TRIGGER events_refuse_delete;
ALTER TABLE {s}.events ENABLE ALWAYS TRIGGER events_refuse_truncate;
"""

FUNCTIONS = {
    "announce": ANNOUNCE,
    "horizon": HORIZON,
    "project": PROJECT,
    "append": APPEND,
    "receive": RECEIVE,
    "refuse": REFUSE,
    "refuse_unpruned": REFUSE_UNPRUNED,
    "tally": TALLY.replace("{rows}", str(TALLY_ROWS)),
}
"""All that there are, by name."""

TRUSTED = "$syncfsm$"
"""What stands around the body of a function."""

_FIRST_FUNCTIONS = {**FUNCTIONS, "project": PROJECT_WITHOUT_SIDES}
del _FIRST_FUNCTIONS["refuse_unpruned"]

_GRANTS = """
DO $grants$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT acl.grantee, acl.privilege_type, made.oid::regclass AS made
        FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS acl
        JOIN pg_class AS made ON made.relnamespace = c.relnamespace AND made.relname IN ({made})
        WHERE c.oid = {events}::regclass
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', given.privilege_type, given.made,
            CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END);
    END LOOP;
END
$grants$;
"""
"""Whoever may do something with the events may do it with what is made beside them."""

_SIDES = f"""
LOCK TABLE {{s}}.processes IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE {{s}}.sides (
    source            text COLLATE "C" NOT NULL,
    object            text COLLATE "C" NOT NULL,
    sink              text COLLATE "C" NOT NULL,
    mode              text COLLATE "C" NOT NULL,
    changed_by        text COLLATE "C" NOT NULL,
    first_position    bigint NOT NULL,
    last_position     bigint NOT NULL,
    last_id           text COLLATE "C" NOT NULL,
    done_id           text COLLATE "C",
    done_at           text COLLATE "C",
    done_position     bigint,
    watermark         text COLLATE "C",
    items_left        bigint NOT NULL DEFAULT 0,
    fetching_position bigint,
    found             text COLLATE "C",
    CONSTRAINT sides_pkey PRIMARY KEY (source, object, sink, mode, changed_by)
) WITH (fillfactor = 50);
DROP INDEX {{s}}.processes_by_route;
DROP INDEX {{s}}.processes_by_fetching;
CREATE INDEX processes_by_side ON {{s}}.processes (source, object, sink, position);
CREATE INDEX processes_by_position ON {{s}}.processes (position);
CREATE INDEX processes_by_end ON {{s}}.processes (updated_at, id)
    WHERE state IN ('COMPLETED', 'FAILED', 'CANCELLED');
{PROJECT}
{sides.MADE.replace("{s}", "{s}.")};
"""
"""Nobody appends meanwhile: what a process leaves is told by the rows that are made, or by `project`."""

_PRUNINGS = f"""
CREATE TABLE {{s}}.prunings (
    number         bigint CONSTRAINT prunings_pkey PRIMARY KEY,
    source         text COLLATE "C" NOT NULL,
    object         text COLLATE "C" NOT NULL,
    sink           text COLLATE "C" NOT NULL,
    mode           text COLLATE "C" NOT NULL,
    changed_by     text COLLATE "C" NOT NULL,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    end_position   bigint NOT NULL,
    wrote_position bigint NOT NULL,
    watermark      text COLLATE "C",
    items_left     bigint NOT NULL,
    at             text COLLATE "C" NOT NULL,
    data           text COLLATE "C" NOT NULL,
    digest         text COLLATE "C" NOT NULL
);
CREATE TABLE {{s}}.pruning_now (stream text COLLATE "C" PRIMARY KEY);
{REFUSE_UNPRUNED}
DROP TRIGGER events_refuse_delete ON {{s}}.events;
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON {{s}}.events
    FOR EACH ROW EXECUTE FUNCTION {{s}}.refuse_unpruned();
ALTER TABLE {{s}}.events ENABLE ALWAYS TRIGGER events_refuse_delete;
CREATE TRIGGER prunings_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {{s}}.prunings
    FOR EACH STATEMENT EXECUTE FUNCTION {{s}}.refuse();
ALTER TABLE {{s}}.prunings ENABLE ALWAYS TRIGGER prunings_refuse_change;
{PROJECT}
"""
"""What stands for events that were pruned, and which go now: see `sqlite/schema.py`."""

_SHARDS = (
    f"INSERT INTO {{s}}.tally SELECT shard, 0, 0, '' FROM generate_series(0, {TALLY_ROWS - 1}) AS shard;"  # noqa: S608
)


class Migration(NamedTuple):
    """One step; its number is its place, from 1. It may not hold up workers that go on beside it."""

    name: str
    sql: str


MIGRATIONS = (
    Migration(
        "the log",
        "".join((_EVENTS, _PROCESSES, _CAPTURES, _INBOX, _SHARDS, *_FIRST_FUNCTIONS.values(), _GUARDS)),
    ),
    Migration("sides", _SIDES + _GRANTS.replace("{made}", "'sides'")),
    Migration("prunings", _PRUNINGS + _GRANTS.replace("{made}", "'prunings', 'pruning_now'")),
)
"""All that there are, in order. Those that a release has had are never changed."""

MIGRATIONS_TABLE = """
CREATE TABLE {s}.log_migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
