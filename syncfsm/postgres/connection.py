"""A connection to PostgreSQL, made alike by the log and the sink."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from syncfsm.postgres.address import Address

CONNECT_TIMEOUT_S = 10
"""How long to wait for a server that does not answer, unless the URL says otherwise (`connect_timeout`)."""

_ALIVE: dict[str, str | int] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server whose machine is gone says nothing, and TCP would wait for it for a quarter of an hour, or two
hours: a minute is enough. What the URL says of these counts."""

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(address: Address, *, purpose: str, read_only: bool = False) -> Connection:
    """Open a connection in which each statement is a transaction of its own.

    Times are no types of the server's here, all is text, so the session's time zone and formats don't matter.

    Args:
        address: Where.
        purpose: What it is for; the server shows it as `syncfsm PURPOSE` in `pg_stat_activity`.
        read_only: Whether the server is to refuse whatever would write.

    Raises:
        psycopg.Error: It cannot be made; see `errors.refusal_advice`. Its words may hold parts of the URL.
    """
    given = conninfo_to_dict(address.conninfo)
    settings: dict[str, str | int] = {**_ALIVE, "application_name": f"syncfsm {purpose}"}
    ours = {key: value for key, value in settings.items() if key not in given}
    conninfo = make_conninfo(address.conninfo, client_encoding="UTF8", **ours)
    connection = psycopg.connect(conninfo, autocommit=True)
    try:
        if read_only:
            connection.execute("SET default_transaction_read_only = on")
    except BaseException:
        connection.close()
        raise
    return connection
