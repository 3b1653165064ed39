"""What writes to a PostgreSQL log, and tells how far it can be read: functions in its schema.

An append is one call of `append`, so one round trip: called by itself it is a transaction. It refuses what it
must by codes of its own, SF001 and SF002.

`announce` and `horizon` are what makes positions safe to poll (docs/decisions/0006). A position is drawn
before its transaction commits, so the events that are visible may have gaps that fill up later, and whoever
has read beyond a gap would never see what fills it. So a writer announces itself before it draws: it takes a
lock whose number is the last position drawn until then. Until the lock goes, with the transaction, events of
this writer may still come, but only behind that number. `horizon` returns the least number announced; all
events up to there are visible, or never will be. It first reads what was drawn last and then who is there:
whoever has drawn that or less had announced itself before, and is there, or is done. Nobody waits for
anybody: the locks are shared, and only looked at.
"""

from __future__ import annotations

from syncfsm.log import sides

CONFLICT, OTHER_EVENT, STANDBY, APPEND_ONLY = "SF001", "SF002", "SF003", "SF004"
"""The codes that are raised here: the stream is elsewhere; its last event is another than the caller thinks;
a standby cannot know who writes; nobody changes events."""

ANNOUNCE = """
CREATE FUNCTION {s}.announce() RETURNS void LANGUAGE plpgsql AS $syncfsm$
DECLARE
    drawn bigint;
BEGIN
    SELECT last_value - (NOT is_called)::int INTO drawn FROM {s}.events_position_seq;
    PERFORM pg_advisory_xact_lock_shared({events}::regclass::oid::int, (drawn & 2147483647)::int);
END
$syncfsm$;
"""

HORIZON = f"""
CREATE FUNCTION {{s}}.horizon(known bigint) RETURNS bigint LANGUAGE plpgsql AS $syncfsm$
DECLARE
    drawn bigint;
    held  bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'a standby cannot know who writes' USING ERRCODE = '{STANDBY}';
    END IF;
    SELECT last_value - (NOT is_called)::int INTO drawn FROM {{s}}.events_position_seq;
    IF drawn <= known THEN
        RETURN drawn;
    END IF;
    -- Of a lock there is room for 31 bits of a number; one that looks far behind is of a writer just come.
    SELECT min(CASE WHEN behind < 1073741824 THEN drawn - behind ELSE drawn END) INTO held
    FROM (
        SELECT (drawn - objid::bigint) & 2147483647 AS behind FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = {{events}}::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS writers;
    RETURN greatest(known, coalesce(held, drawn));
END
$syncfsm$;
"""  # noqa: S608 - all ours

_PROJECT = """
CREATE OR REPLACE FUNCTION {s}.project(
    begins_fetching boolean,
    p_id text, p_source text, p_object text, p_sink text, p_mode text, p_started_at text, p_state text,
    p_version bigint, p_updated_at text, p_watermark text, p_changed_by text,
    p_created bigint, p_updated bigint, p_unchanged bigint, p_deleted bigint, p_missing bigint,
    p_snapshot text, p_snapshot_schema integer
) RETURNS void LANGUAGE plpgsql AS $syncfsm$
{declared}BEGIN
    INSERT INTO {s}.processes AS p (
        id, source, object, sink, mode, started_at, state, version, updated_at, watermark, changed_by,
        created, updated, unchanged, deleted, missing, snapshot, snapshot_schema, position
    ) VALUES (
        p_id, p_source, p_object, p_sink, p_mode, p_started_at, p_state, p_version, p_updated_at,
        p_watermark, p_changed_by, p_created, p_updated, p_unchanged, p_deleted, p_missing,
        p_snapshot, p_snapshot_schema,
        (SELECT e.position FROM {s}.events AS e WHERE e.stream = p_id AND e.version = 1)
    )
    ON CONFLICT (id) DO UPDATE SET
        state = excluded.state, version = excluded.version, updated_at = excluded.updated_at,
        watermark = excluded.watermark, created = excluded.created, updated = excluded.updated,
        unchanged = excluded.unchanged, deleted = excluded.deleted, missing = excluded.missing,
        snapshot = coalesce(excluded.snapshot, p.snapshot),
        snapshot_schema = CASE WHEN excluded.snapshot IS NULL THEN p.snapshot_schema
            ELSE excluded.snapshot_schema END;
    IF begins_fetching THEN
        UPDATE {s}.processes SET fetching_position = (
            SELECT e.position FROM {s}.events AS e WHERE e.stream = p_id AND e.type = 'FetchingBegan'
            ORDER BY e.version LIMIT 1
        ) WHERE id = p_id;
    END IF;{sides}
END
$syncfsm$;
"""

_DECLARED = """DECLARE
    is_new boolean := NOT EXISTS (SELECT 1 FROM {s}.processes AS known WHERE known.id = p_id);
"""

_SIDES = """
    IF is_new THEN{begun};
    END IF;
    IF begins_fetching THEN{fetching};
    END IF;
    IF p_state = 'COMPLETED' THEN{done};{added};{counted_anew};
    END IF;"""


def _in_schema(statement: str) -> str:
    return statement.replace("{s}", "{s}.").replace("{id}", "p_id").rstrip()


PROJECT_WITHOUT_SIDES = _PROJECT.replace("{declared}", "").replace("{sides}", "")
PROJECT = _PROJECT.replace("{declared}", _DECLARED).replace(
    "{sides}",
    _SIDES.replace("{begun}", _in_schema(sides.BEGUN))
    .replace("{fetching}", _in_schema(sides.FETCHING))
    .replace("{done}", _in_schema(sides.DONE))
    .replace("{added}", _in_schema(sides.ADDED))
    .replace("{counted_anew}", _in_schema(sides.COUNTED_ANEW)),
)
APPEND = f"""
CREATE FUNCTION {{s}}.append(
    p_lock_timeout text, p_idle_timeout text,
    p_stream text, p_expected bigint, p_previous text,
    p_types text[], p_schemas integer[], p_ats text[], p_datas text[], p_metas text[], p_digests text[],
    p_source text, p_object text, p_sink text, p_mode text, p_started_at text, p_state text,
    p_version bigint, p_updated_at text, p_watermark text, p_changed_by text,
    p_created bigint, p_updated bigint, p_unchanged bigint, p_deleted bigint, p_missing bigint,
    p_snapshot text, p_snapshot_schema integer,
    p_requests text[], p_as_ofs text[], p_bodies bytea[], p_capture_digests text[], p_notices bigint[]
) RETURNS void LANGUAGE plpgsql AS $syncfsm$
DECLARE
    last record;
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout, true),
        set_config('idle_in_transaction_session_timeout', p_idle_timeout, true);
    PERFORM {{s}}.announce();
    SELECT e.version, e.digest INTO last FROM {{s}}.events AS e
        WHERE e.stream = p_stream ORDER BY e.version DESC LIMIT 1;
    IF coalesce(last.version, 0) <> p_expected THEN
        RAISE EXCEPTION 'another appended first' USING ERRCODE = '{CONFLICT}',
            DETAIL = coalesce(last.version, 0)::text;
    ELSIF p_expected > 0 AND last.digest <> p_previous THEN
        RAISE EXCEPTION 'the last event is another' USING ERRCODE = '{OTHER_EVENT}';
    END IF;
    INSERT INTO {{s}}.events (stream, version, type, schema, at, data, meta, digest)
        SELECT p_stream, p_expected + ordinality, type, schema, at, data, meta, digest
        FROM unnest(p_types, p_schemas, p_ats, p_datas, p_metas, p_digests)
            WITH ORDINALITY AS added (type, schema, at, data, meta, digest, ordinality)
        ORDER BY ordinality;
    PERFORM {{s}}.project(
        'FetchingBegan' = ANY (p_types),
        p_stream, p_source, p_object, p_sink, p_mode, p_started_at, p_state,
        p_version, p_updated_at, p_watermark, p_changed_by,
        p_created, p_updated, p_unchanged, p_deleted, p_missing, p_snapshot, p_snapshot_schema
    );
    IF p_requests IS NOT NULL THEN
        INSERT INTO {{s}}.captures (stream, version, at, request, as_of, body, digest)
            SELECT p_stream, p_expected + 1, p_ats[1], request, as_of, body, digest
            FROM unnest(p_requests, p_as_ofs, p_bodies, p_capture_digests)
                WITH ORDINALITY AS kept (request, as_of, body, digest, ordinality)
            ORDER BY ordinality;
    END IF;
    IF p_notices IS NOT NULL THEN
        UPDATE {{s}}.inbox SET process = p_stream WHERE id = ANY (p_notices);
    END IF;
END
$syncfsm$;
"""  # noqa: S608 - all ours

RECEIVE = """
CREATE FUNCTION {s}.receive(
    p_lock_timeout text, p_source text, p_object text, p_key text, p_record_ids text, p_received_at text,
    p_gone text, p_digest text
) RETURNS boolean LANGUAGE plpgsql AS $syncfsm$
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout, true);
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    INSERT INTO {s}.inbox (source, object, key, record_ids, received_at, gone, digest)
        VALUES (p_source, p_object, p_key, p_record_ids, p_received_at, p_gone, p_digest)
        ON CONFLICT (source, object, key) DO NOTHING;
    RETURN FOUND;
END
$syncfsm$;
"""

REFUSE = f"""
CREATE FUNCTION {{s}}.refuse() RETURNS trigger LANGUAGE plpgsql AS $syncfsm$
BEGIN
    RAISE EXCEPTION 'events are append-only' USING ERRCODE = '{APPEND_ONLY}';
END
$syncfsm$;
"""

REFUSE_UNPRUNED = f"""
CREATE FUNCTION {{s}}.refuse_unpruned() RETURNS trigger LANGUAGE plpgsql AS $syncfsm$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM {{s}}.pruning_now AS p WHERE p.stream = OLD.stream) THEN
        RAISE EXCEPTION 'events are append-only' USING ERRCODE = '{APPEND_ONLY}';
    END IF;
    RETURN OLD;
END
$syncfsm$;
"""  # noqa: S608 - all ours

TALLY = """
CREATE FUNCTION {s}.tally() RETURNS trigger LANGUAGE plpgsql AS $syncfsm$
BEGIN
    UPDATE {s}.tally AS t SET events = t.events + sums.events, position = last.position, digest = last.digest
    FROM (SELECT count(*) AS events FROM added) AS sums,
        (SELECT a.position, a.digest FROM added AS a ORDER BY a.position DESC LIMIT 1) AS last
    WHERE t.shard = pg_backend_pid() % {rows};
    RETURN NULL;
END
$syncfsm$;
"""
