"""What goes wrong with a table in PostgreSQL, as a failure of the sink: by the SQLSTATE, never by sentences.

A connection that is refused has none; see errors.py. What the server says is not repeated: it quotes people.
"""

from __future__ import annotations

from psycopg import Error

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.outside.safe_words import word
from syncfsm.postgres import errors

_KINDS = {
    "28000": FailureKind.UNAUTHORIZED,
    "28P01": FailureKind.UNAUTHORIZED,
    "42501": FailureKind.FORBIDDEN,
    "53200": FailureKind.UNAVAILABLE,
    "53300": FailureKind.UNAVAILABLE,
    "57014": FailureKind.TIMEOUT,
}
"""What helps against an error; against all others, that the sink is mended."""

_REFUSED = {
    "password": FailureKind.UNAUTHORIZED,
    'FATAL:  role "': FailureKind.UNAUTHORIZED,
    "pg_hba.conf": FailureKind.FORBIDDEN,
    'FATAL:  database "': FailureKind.UNWRITABLE,
    "session is read-only": FailureKind.UNWRITABLE,
    "certificate": FailureKind.UNTRUSTED,
    "SSL": FailureKind.UNWRITABLE,
}
"""By a phrase of libpq's sentence. All else may pass, such as a server that is about to start."""

_NOT_THE_ROWS = frozenset(
    {
        "08",
        "0A",
        "25",
        "26",
        "28",
        "2D",
        "34",
        "3B",
        "3D",
        "3F",
        "40",
        "42",
        "53",
        "55",
        "57",
        "58",
        "F0",
        "XX",
    }
)
"""The classes of errors that say nothing of a row: others would not fare better."""

_GONE = {"42P01", "3F000"}
"""There is no such table, or schema."""


def is_refusal(error: Error) -> bool:
    """Whether the server refuses what is in a row: a CHECK of the user's, a trigger that raises, a length."""
    return error.sqlstate is not None and error.sqlstate[:2] not in _NOT_THE_ROWS


def refusal_words(error: Error) -> str:
    """Return why a row was refused, in words that quote nothing of it; constraints and columns have names."""
    of = ((kind, word(getattr(error.diag, f"{kind}_name"))) for kind in ("constraint", "column"))
    named = "".join(f", {kind} {name}" for kind, name in of if name)
    return f"PostgreSQL refuses it: {errors.error_name(error)}{named}"


def connecting_failed(error: Error, name: str) -> Failure:
    """Return why there is no connection."""
    told = str(error)
    state = error.sqlstate
    kind = next((kind for phrase, kind in _REFUSED.items() if phrase in told), FailureKind.UNAVAILABLE)
    return Failure(
        kind=_KINDS.get(state, kind) if state else kind,
        message=f"the sink {name} cannot be reached: {errors.refusal_advice(error)}.",
    )


def failed(error: Error, name: str, holder: str = "") -> Failure:
    """Return what an error of an open connection means."""
    if errors.is_lost(error):
        return _unwritable(FailureKind.UNAVAILABLE, name, errors.advice(error) or "the connection was lost")
    if errors.is_locked(error):
        advice = holder or errors.advice(error) or "another worker holds it locked"
        return _unwritable(FailureKind.LOCKED, name, advice)
    if error.sqlstate in _GONE:
        return replaced(name)
    advice = errors.advice(error) or f"PostgreSQL refuses it: {errors.error_name(error)}"
    return _unwritable(_KINDS.get(error.sqlstate or "", FailureKind.UNWRITABLE), name, advice)


def _unwritable(kind: FailureKind, name: str, advice: str) -> Failure:
    return Failure(kind=kind, message=f"the sink {name} cannot be written: {advice}.")


def foreign(name: str, table: str) -> Failure:
    """Return that the table is something else's."""
    return Failure(
        kind=FailureKind.FOREIGN,
        message=f"the sink {name} is another program's: it has a table `{table}` of another shape; "
        "name another by ?table= or ?schema=.",
    )


def not_allowed(name: str) -> Failure:
    """Return that the user may not do what the sink has to."""
    advice = "the user needs SELECT, INSERT and UPDATE on its tables, or CREATE where they are missing"
    return _unwritable(FailureKind.FORBIDDEN, name, advice)


def read_only(name: str) -> Failure:
    """Return that the server takes no writes."""
    advice = errors.code_advice(errors.READ_ONLY) or "it is read-only"
    return _unwritable(FailureKind.UNWRITABLE, name, advice)


def crowded(name: str) -> Failure:
    """Return that a page began again and again, since others wrote the same rows."""
    return _unwritable(
        FailureKind.LOCKED, name, "others write the same contacts all the time; run fewer syncs"
    )


def replaced(name: str) -> Failure:
    """Return that the table is not the one that was written into before."""
    return Failure(
        kind=FailureKind.REPLACED,
        message=f"the table of the sink {name} was dropped, renamed or replaced while it was in use, so that "
        "what was written into it is not there: put it back, then run again.",
    )
