"""The sinks that come with syncfsm, as factories."""

from __future__ import annotations

import os

from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.postgres.driver import require_driver
from syncfsm.sinks.factory import SinkFactory, SinkSettings
from syncfsm.sinks.postgres.same_place import KIND
from syncfsm.sinks.protocol import Sink
from syncfsm.sinks.quo.api import BASE_URL, KEY_VARIABLE


class _Sqlite:
    name = "sqlite"
    description = "A table of contacts in a SQLite file."
    key_variable = ""
    example = "sqlite:FILE"

    def open(self, settings: SinkSettings) -> Sink[Contact]:
        """Open a file."""
        from syncfsm.sinks.sqlite import SqliteSink  # noqa: PLC0415 - a sink is loaded when it is used

        return SqliteSink(_file(settings, self.example), clock=settings.clock)


class _Jsonl:
    name = "jsonl"
    description = "A file with a line of JSON for each contact."
    key_variable = ""
    example = "jsonl:FILE"

    def open(self, settings: SinkSettings) -> Sink[Contact]:
        """Open a file."""
        from syncfsm.sinks.jsonl import JsonlSink  # noqa: PLC0415 - likewise

        return JsonlSink(_file(settings, self.example))


class _Postgres:
    name = KIND
    description = "A table of contacts in PostgreSQL."
    key_variable = "PGPASSWORD"
    example = "postgresql://USER@HOST/DATABASE"

    def open(self, settings: SinkSettings) -> Sink[Contact]:
        """Open a table; `key` is the password, where it is not libpq's to find."""
        require_driver()
        from syncfsm.sinks.postgres.sink import PostgresSink  # noqa: PLC0415 - likewise

        _check_more(settings, set())
        is_given = settings.key != os.environ.get(self.key_variable, "")
        password = settings.key if is_given else ""
        return PostgresSink(f"{KIND}:{settings.where}", password=password, clock=settings.clock)


class _Quo:
    name = "quo"
    description = "The contacts of a Quo workspace."
    key_variable = KEY_VARIABLE
    example = "quo:"

    def open(self, settings: SinkSettings) -> Sink[Contact]:
        """Open a workspace; `more` has what `QuoSink` takes besides."""
        from syncfsm.sinks.quo.sink import QuoSink  # noqa: PLC0415 - likewise

        _check_more(settings, {"partner_key", "require_phone", "default_region", "source"})
        return QuoSink(
            settings.key,
            base_url=settings.where or BASE_URL,
            clock=settings.clock,
            transport=settings.transport,
            **settings.more,
        )


def _check_more(settings: SinkSettings, known: set[str]) -> None:
    unknown = settings.more.keys() - known
    if unknown:
        raise ConfigurationError(f"this sink knows nothing of {', '.join(sorted(unknown))}: leave that out")


def _file(settings: SinkSettings, example: str) -> str:
    _check_more(settings, set())
    path = settings.where.removeprefix("//")
    if not path:
        raise ConfigurationError(f"the sink has no file: use {example}")
    return path


SQLITE: SinkFactory = _Sqlite()
JSONL: SinkFactory = _Jsonl()
POSTGRES: SinkFactory = _Postgres()
QUO: SinkFactory = _Quo()
