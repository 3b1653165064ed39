"""Psycopg, the driver of PostgreSQL: an extra, asked for where it is needed and loaded nowhere else."""

from __future__ import annotations

from syncfsm.errors import ConfigurationError


def is_postgres(url: object) -> bool:
    """Whether a URL is one of PostgreSQL, or was meant to be one: `postgres:x` names no file."""
    scheme, colon, _ = str(url).partition(":")
    return bool(colon) and scheme.lower() in {"postgresql", "postgres"}


def require_driver() -> None:
    """Say what to install where psycopg is missing, or is there without the library that it needs.

    Raises:
        ConfigurationError: It cannot be loaded.
    """
    try:
        import psycopg  # noqa: F401, PLC0415 - asked for by name, to say what is missing
    except ImportError as error:  # also where there is a psycopg but no libpq
        raise ConfigurationError("PostgreSQL is an extra: pip install 'syncfsm[postgres]'") from error
