"""The table of faults of the stage: what can go wrong, where, how large its share is, and what it does.

To add a fault, add a row at the end of the faults that are drawn apart, and, if it does something new, a
function to the file of its port in effects/. That is all: it is drawn, counted, shrunk and documented by this
row, and the seeds of today do what they do.
"""

from __future__ import annotations

from httpx import ConnectError, ConnectTimeout, ReadTimeout

from syncfsm_simulator.stage.effects import answers as a
from syncfsm_simulator.stage.effects import logs, moves, requests, sinks
from syncfsm_simulator.stage.effects.answers import limited
from syncfsm_simulator.stage.effects.logs import APPEND, CLEAR, RECEIVE
from syncfsm_simulator.stage.effects.mistakes import TRANSFORM, mistaken, mistaken_upsert
from syncfsm_simulator.stage.effects.moves import WORLD
from syncfsm_simulator.stage.effects.pages import (
    LOOK_UP,
    PAGE,
    attribute_gone,
    behind,
    look_up_short,
    row_twice,
    row_without_id,
    short,
    undecodable_row,
)
from syncfsm_simulator.stage.effects.requests import REQUEST, SCHEMA, TIMEOUT_S, broken, refused, unanswered
from syncfsm_simulator.stage.effects.sinks import DELETE, LISTING, UPSERT
from syncfsm_simulator.stage.effects.sleeps import SLEEP, crash_asleep
from syncfsm_simulator.stage.port import FaultTable, crash, fault

FAULTS = FaultTable(
    # kind, group whose rate it has a share in, port, one in so many, what it does
    together=(
        fault("limited_date", "rate_limited", REQUEST, 7, refused(limited(a.a_date))),
        fault("limited_seconds", "rate_limited", REQUEST, 7, refused(limited(a.seconds))),
        fault("limited_past", "rate_limited", REQUEST, 7, refused(limited(a.a_past_date))),
        fault("limited_far", "rate_limited", REQUEST, 7, refused(limited(a.a_far_date))),
        fault("limited_nonsense", "rate_limited", REQUEST, 7, refused(limited(a.nonsense))),
        fault("limited_bare", "rate_limited", REQUEST, 7, refused(limited(a.nothing))),
        fault("limited_score", "rate_limited", REQUEST, 7, refused(limited(a.score_window))),
        fault("error_500", "unavailable", REQUEST, 5, refused(a.error_500)),
        fault("error_502", "unavailable", REQUEST, 5, refused(a.error_502)),
        fault("error_503", "unavailable", REQUEST, 5, refused(a.error_503)),
        fault("error_504", "unavailable", REQUEST, 5, refused(a.error_504)),
        fault("merge_in_progress", "unavailable", REQUEST, 5, refused(a.merge_in_progress)),
        fault("refused", "network", REQUEST, 5, unanswered(ConnectError, "connection refused")),
        fault(
            "connect_timeout", "network", REQUEST, 5, unanswered(ConnectTimeout, "no connection", TIMEOUT_S)
        ),
        fault("read_timeout", "network", REQUEST, 5, unanswered(ReadTimeout, "no answer", TIMEOUT_S)),
        fault("reset_before_body", "network", REQUEST, 5, requests.reset_before_body),
        fault("reset_in_body", "network", REQUEST, 5, broken(a.reset_in_body)),
        fault("truncated", "body", REQUEST, 5, broken(a.truncated)),
        fault("malformed", "body", REQUEST, 5, refused(a.malformed)),
        fault("empty", "body", REQUEST, 5, refused(a.empty)),
        fault("wrong_shape", "body", REQUEST, 5, refused(a.wrong_shape)),
        fault("oversized", "body", REQUEST, 5, refused(a.oversized)),
        fault("row_without_id", "rows", PAGE, 2, row_without_id),
        fault("row_twice", "rows", PAGE, 2, row_twice),
        fault("slow", "slow", REQUEST, 1, requests.slow),
        fault("unauthorized", "denied", REQUEST, 1, refused(a.unauthorized)),
        fault("sink_refuses_one", "sink", UPSERT, 4, sinks.refuses_one),
        fault("sink_refuses_all", "sink", UPSERT, 4, sinks.refuses_all),
        fault("sink_locked", "sink", UPSERT, 4, sinks.locked),
        fault("sink_timeout_after_write", "sink", UPSERT, 4, sinks.late_upsert),
        fault("disk_full", "disk", APPEND, 2, logs.unwritable("disk_full")),
        fault("log_locked", "disk", APPEND, 2, logs.unwritable("log_locked")),
        fault("clock_ahead", "clock", REQUEST, 2, requests.clock_ahead),
        fault("clock_back", "clock", REQUEST, 2, requests.clock_back),
        fault("crash_before_request", "crash", REQUEST, 2, crash),
        fault("crash_after_answer", "crash", REQUEST, 2, requests.crash_after),
        fault("crash_before_upsert", "crash", UPSERT, 2, crash),
        fault("crash_after_upsert", "crash", UPSERT, 2, sinks.crash_after_upsert),
        fault("crash_before_append", "crash", APPEND, 2, crash),
        fault("crash_after_append", "crash", APPEND, 2, logs.crash_after),
        fault("crash_asleep", "crash", SLEEP, 1, crash_asleep),
        fault("rival_step", "rival", REQUEST, 1, requests.rival_step),
        fault("duplicated_step", "rival", UPSERT, 1, sinks.duplicated_step),
        fault("cancelled", "cancel", REQUEST, 1, requests.cancelled),
        fault("created", "created", WORLD, 1, moves.created),
        fault("updated", "updated", WORLD, 1, moves.updated),
        fault("deleted", "deleted", WORLD, 1, moves.deleted),
        fault("imported", "imported", WORLD, 1, moves.imported),
        fault("peek_deleted", "peek_deleted", WORLD, 1, moves.peek_deleted),
        fault("page_deleted", "page_deleted", WORLD, 1, moves.page_deleted),
        fault("all_updated", "all_updated", WORLD, 1, moves.all_updated),
        fault("all_deleted", "all_deleted", WORLD, 1, moves.all_deleted),
    ),
    apart=(
        fault("sink_locked_at_delete", "sink", DELETE, 4, sinks.locked),
        fault("sink_timeout_after_delete", "sink", DELETE, 4, sinks.late_delete),
        fault("sink_locked_at_listing", "sink", LISTING, 4, sinks.locked),
        fault("crash_before_delete", "crash", DELETE, 2, crash),
        fault("crash_after_delete", "crash", DELETE, 2, sinks.crash_after_delete),
        fault("disk_full_at_receive", "disk", RECEIVE, 2, logs.unwritable("disk_full")),
        fault("crash_after_receive", "crash", RECEIVE, 2, logs.crash_after),
        fault("log_locked_at_clear", "disk", CLEAR, 2, logs.unwritable("log_locked")),
        fault("attribute_gone", "absent", PAGE, 6, attribute_gone),
        fault("look_up_short", "absent", LOOK_UP, 1, look_up_short),
        fault("attributes_unavailable", "unavailable", SCHEMA, 5, refused(a.error_503)),
        fault("undecodable_row", "undecodable", PAGE, 1, undecodable_row),
        fault("undecodable_body", "undecodable", REQUEST, 1, requests.undecodable),
        fault("transform_raises", "mistakes", TRANSFORM, 1, mistaken),
        fault("sink_raises", "mistakes", UPSERT, 2, mistaken),
        fault("sink_raises_after_write", "mistakes", UPSERT, 2, mistaken_upsert),
        fault("page_short", "evidence", PAGE, 1, short),
        fault("index_behind_webhook", "evidence", PAGE, 1, behind),
        fault("merge_not_readable", "merge_not_readable", WORLD, 1, moves.merged),
        fault("limited_long", "rate_limited", REQUEST, 7, refused(limited(a.many_seconds))),
        fault("trickling", "slow", REQUEST, 4, requests.trickling),
        fault("clock_ahead_far", "clock", REQUEST, 4, requests.clock_ahead_far),
        fault("clock_back_far", "clock", REQUEST, 4, requests.clock_back_far),
        fault("undated", "clock", REQUEST, 2, requests.undated),
        fault("dated_ahead", "clock", REQUEST, 4, requests.dated_ahead),
        fault("sink_backed_up", "backup", UPSERT, 1, sinks.backed_up),
        fault("sink_put_back", "backup", UPSERT, 4, sinks.put_back),
        fault("sink_truncated", "backup", UPSERT, 4, sinks.lost),
    ),
)
"""Every kind of fault. The moves of the world are faults too: each is a group of its own."""
