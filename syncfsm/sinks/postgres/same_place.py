"""Whether two names of sinks in PostgreSQL mean one table. Needs no driver: any log may name such a sink."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

KIND = "postgresql"
"""What such a sink is asked for by; libpq knows `postgres` too, and names say the former."""

TABLE = "contacts"
"""The table, unless `?table=NAME` names another."""

_PORT = "5432"
_SCHEMA = "syncfsm"


def kind_of(url: str) -> str:
    """Return the kind of sink that a URL asks for: what stands before the colon, or is meant by that."""
    kind = url.partition(":")[0]
    return KIND if kind == "postgres" else kind


def whereabouts(name: str) -> tuple[str, ...]:
    """Return what tells one table from another in the name of a sink: all but who asks for it.

    What libpq and this sink take for granted is filled in: the port, a database called as its user, a schema.
    """
    parts = urlsplit(name)
    user, _, hosts = parts.netloc.rpartition("@")
    asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    host = asked.get("host") or hosts.lower()
    port = f":{asked.get('port', _PORT)}" if "host" in asked else ""
    places = ",".join(_with_port(place) for place in host.split(",")) if not port else host + port
    database = unquote(parts.path.removeprefix("/")) or unquote(user)
    return (
        places,
        asked.get("service", ""),
        database,
        asked.get("schema", _SCHEMA),
        asked.get("table", TABLE),
        parts.fragment,
    )


def _with_port(place: str) -> str:
    has_port = place.rpartition(":")[2].isdigit() and not place.endswith("]")
    return place if has_port else f"{place}:{_PORT}"
