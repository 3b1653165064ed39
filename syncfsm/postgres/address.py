"""Where a log or a sink in PostgreSQL is: its URL, taken apart once, and a name of it that may be shown.

A URL may hold a password, in more than one place. So whatever is printed, logged or written into an event is
the `name`, which is put together anew from what is no secret. A URL that cannot be taken apart is not quoted:
what makes it wrong may be the password.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError

SCHEMES = ("postgresql://", "postgres://")
"""How such a URL begins; libpq knows both."""

SCHEMA = "syncfsm"
"""The schema in which everything is made, unless `?schema=NAME` names another."""

_SCHEMA_BYTES_MAX = 63
"""PostgreSQL cuts a longer name short without an error, and two of them could be one."""

_FORM = "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_ENCODED = "within a user, a password or a name, write @ : / ? # % as %40 %3A %2F %3F %23 %25"


class Address(Value, frozen=True):
    """A schema of a database, and how to reach it.

    Attributes:
        conninfo: What libpq connects by. It may hold a password: it is never shown.
        schema: The schema that everything is in.
        name: What it is called, without any secret: a URL that names it to people, and to a command.
    """

    conninfo: str
    schema: str
    name: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Address {self.name}>"


def parse(url: str) -> Address:
    """Take a URL apart.

    Args:
        url: As libpq takes it (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING),
            with `schema` as one more parameter.

    Raises:
        ConfigurationError: It cannot be one. The URL is not repeated, since it may hold a password.
    """
    if not url.startswith(SCHEMES):
        raise ConfigurationError(f"this is no URL of a PostgreSQL database: {_FORM}")
    _check_credentials(url)
    place, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    schemas = [unquote(pair.removeprefix("schema=")) for pair in pairs if pair.startswith("schema=")]
    rest = "&".join(pair for pair in pairs if not pair.startswith("schema="))
    schema = _checked_schema(schemas)
    try:
        found = {key: str(value) for key, value in conninfo_to_dict(f"{place}?{rest}").items()}
    except Error:
        raise ConfigurationError(
            f"the URL of the PostgreSQL database cannot be read: {_FORM}; {_ENCODED}"
        ) from None  # the driver's words may quote it
    _check_ports(found.get("port", ""))
    return Address(conninfo=make_conninfo("", **found), schema=schema, name=_name(found, schema))


def _check_credentials(url: str) -> None:
    """Refuse a URL in which a part of the password would be taken for another part, and be shown.

    For libpq, user and password end at the first @ before the first slash, whatever stands between.
    """
    place, _, path = url.partition("://")[2].partition("/")
    credentials, at, host = place.partition("@")
    is_odd = ("?" in credentials and at) or "@" in host.partition("?")[0]
    if is_odd or ("?" not in place and "@" in path.partition("?")[0]):
        raise ConfigurationError(f"the URL of the PostgreSQL database has an odd @ or ?: {_FORM}; {_ENCODED}")


def _check_ports(ports: str) -> None:
    """Refuse what is no number for the same reason: of `u:p/w@h`, libpq takes `p` for a port."""
    if not all(not port or (port.isascii() and port.isdigit()) for port in ports.split(",")):
        raise ConfigurationError(
            f"the port in the URL of the PostgreSQL database is no number: {_FORM}; {_ENCODED}"
        )


def _checked_schema(schemas: list[str]) -> str:
    """Return the schema that was named, or ours."""
    if not schemas:
        return SCHEMA
    schema = schemas[-1]
    is_fit = schema and schema.isprintable() and len(schema.encode(errors="replace")) <= _SCHEMA_BYTES_MAX
    if not is_fit or len(schemas) > 1:
        raise ConfigurationError(
            f"?schema= names one schema of the database, in at most {_SCHEMA_BYTES_MAX} bytes of text"
        )
    if schema.lower().startswith("pg_") or schema == "information_schema":
        raise ConfigurationError(f"the schema {schema!r} is PostgreSQL's own: name another by ?schema=")
    return schema


def _name(found: Mapping[str, str], schema: str) -> str:
    """Return a URL of what is no secret; what is left out, libpq finds where it looks for it."""
    user = f"{quote(found['user'], safe='')}@" if "user" in found else ""
    hosts, ports = found.get("host", ""), found.get("port", "")
    is_socket = "/" in hosts or "@" in hosts
    host = "" if is_socket else ",".join(_host_names(hosts, ports))
    database = quote(found.get("dbname", ""), safe="")
    parameters = {
        "host": quote(hosts, safe="/,") if is_socket else "",
        "port": ports if is_socket else "",
        "service": quote(found.get("service", ""), safe=""),
        "schema": quote(schema, safe="") if schema != SCHEMA else "",
    }
    query = "&".join(f"{key}={value}" for key, value in parameters.items() if value)
    return f"postgresql://{user}{host}/{database}" + (f"?{query}" if query else "")


def _host_names(hosts: str, ports: str) -> Iterator[str]:
    """Yield each host with its port: several hosts may share one, or have one each."""
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) == 1:
        numbers *= len(names)
    for host, port in zip(names, numbers, strict=False):
        shown = f"[{quote(host, safe=':%')}]" if ":" in host else quote(host, safe="")
        yield f"{shown}:{port}" if port else shown
