"""PostgreSQL's errors: what kind each is, told by its SQLSTATE, and what to do about it, in words.

Neither the server's sentences nor libpq's are repeated: they quote what is stored, and parts of the URL.

A connection that is refused has no SQLSTATE: libpq gives the sentence only (psycopg 3.3, libpq 18). So that
one case goes by phrases of it, and where none is known, as with a server that speaks another language, the
advice says all that it can be.

SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from psycopg import Error, InterfaceError, OperationalError

LOCK_TIMEOUT = "55P03"
DEADLOCK = "40P01"
SERIALIZATION = "40001"
READ_ONLY = "25006"
NOT_ALLOWED = "42501"

_LOCKED = {LOCK_TIMEOUT, DEADLOCK, SERIALIZATION, "55006"}
"""Others are in the way, and may soon be gone."""

_LOST = {"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"}
"""The server ends a session (it stops, crashed, or was told to), or does not take one yet."""

_RESTRICTED = "give the user of the URL the rights, or name another user"

_ADVICE = {
    "53100": "the server's disk is full; make room on it",
    "53200": "the server is out of memory; give it more, or close other connections",
    "53300": "the server takes no more connections; close some, or raise its max_connections",
    READ_ONLY: "the server takes no writes: it is a standby, or read-only; name the primary "
    "(with several hosts in the URL, ?target_session_attrs=read-write finds it)",
    NOT_ALLOWED: f"the user may not do that there; {_RESTRICTED}",
    "28000": f"the server does not let this user in; {_RESTRICTED}",
    "28P01": "the password is refused; check the user and the password",
    "3D000": "there is no such database; make it with `createdb`, or name another",
    "57014": "the server broke it off: it took longer than its statement_timeout; raise that for this user",
    "XX001": "the server found damage in its own files; check its disk, and restore a backup",
    "XX002": "an index is damaged; have the administrator of the server run REINDEX on it",
}
_ADVICE |= dict.fromkeys(_LOCKED, "another worker holds it locked; wait for that worker or stop it")
_ADVICE |= dict.fromkeys(_LOST, "the server ended the connection; wait until it is up")

_CLASSES = {
    "08": "the connection to the server was lost; check the network and whether the server is up",
    "53": "the server has run out of something; look into its own log",
    "58": "the server's disk refused to read or write; look into its own log",
}
"""By the first two letters, where the whole is not known."""

_REFUSED = {
    "password authentication failed": _ADVICE["28P01"],
    "no password supplied": "the server asks for a password; put it into the URL, PGPASSWORD or ~/.pgpass",
    "no pg_hba.conf entry": "the server takes no such connection from here; see its pg_hba.conf",
    "Connection refused": "no server answers at that host and port; check both, and that it is up",
    "could not translate host name": "there is no such host; check its name",
    "failed to resolve host": "there is no such host; check its name",
    "timeout expired": "the server did not answer in time; check the host, the port and the network",
    "No such file or directory": "no server answers on this machine; check the host, and that it is up",
    "the database system is": "the server is starting or stopping; wait until it is up",
    "too many clients": _ADVICE["53300"],
    "too many connections": _ADVICE["53300"],
    "connection slots are reserved": _ADVICE["53300"],
    "session is read-only": _ADVICE[READ_ONLY],
    "SSL": "the server and the URL do not agree on SSL; see ?sslmode=",
    "role": "there is no such user; check the user in the URL",
    "database": _ADVICE["3D000"],
}
"""By a phrase of libpq's sentence, the surest first; see above."""

_UNTOLD = "the server cannot be reached, or takes no connection; check the URL, and try it with `psql`"


def is_lost(error: Error) -> bool:
    """Whether the connection is gone, so that what was under way may or may not have happened."""
    if error.sqlstate is not None:
        return error.sqlstate in _LOST or error.sqlstate.startswith("08")
    return isinstance(error, OperationalError | InterfaceError)


def is_locked(error: Error) -> bool:
    """Whether somebody else is in the way for now, and nothing was written."""
    return error.sqlstate in _LOCKED


def is_damage(error: Error) -> bool:
    """Whether the server found its own files damaged."""
    return error.sqlstate in {"XX001", "XX002"}


def advice(error: Error) -> str | None:
    """Return what is wrong with the server, or the way to it, and what to do; null for another error."""
    state = error.sqlstate
    if state is None:
        return _CLASSES["08"] if is_lost(error) else None
    return code_advice(state)


def code_advice(state: str) -> str | None:
    """Return what an SQLSTATE means, and what to do; null where it is of another kind."""
    return _ADVICE.get(state) or _CLASSES.get(state[:2])


def refusal_advice(error: Error) -> str:
    """Return why a connection could not be made, and what to do."""
    if error.sqlstate is not None:
        return advice(error) or _UNTOLD
    told = str(error)
    return next((words for phrase, words in _REFUSED.items() if phrase in told), _UNTOLD)


def error_name(error: Error) -> str:
    """Return what an error is called: `UniqueViolation (23505)`. Its sentence may quote what is stored."""
    name = type(error).__name__
    return f"{name} ({error.sqlstate})" if error.sqlstate else name
