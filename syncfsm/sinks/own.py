"""The sinks that come with syncfsm, as factories."""

from __future__ import annotations

from syncfsm.clock import Clock
from syncfsm.contact import Contact
from syncfsm.errors import ConfigurationError
from syncfsm.sinks.factory import SinkFactory
from syncfsm.sinks.protocol import Sink
from syncfsm.sinks.quo.api import BASE_URL, KEY_VARIABLE


class _Sqlite:
    name = "sqlite"
    description = "A table of contacts in a SQLite file."
    key_variable = ""
    example = "sqlite:FILE"

    def open(self, where: str, *, clock: Clock | None = None) -> Sink[Contact]:
        """Open a file."""
        from syncfsm.sinks.sqlite import SqliteSink  # noqa: PLC0415 - a sink is loaded when it is used

        return SqliteSink(_file(where, self.example), clock=clock)


class _Jsonl:
    name = "jsonl"
    description = "A file with a line of JSON for each contact."
    key_variable = ""
    example = "jsonl:FILE"

    def open(self, where: str, *, clock: Clock | None = None) -> Sink[Contact]:  # noqa: ARG002
        """Open a file."""
        from syncfsm.sinks.jsonl import JsonlSink  # noqa: PLC0415 - likewise

        return JsonlSink(_file(where, self.example))


class _Quo:
    name = "quo"
    description = "The contacts of a Quo workspace."
    key_variable = KEY_VARIABLE
    example = "quo:"

    def open(self, where: str, *, clock: Clock | None = None) -> Sink[Contact]:
        """Open a workspace, by the key of the environment."""
        from syncfsm.sinks.quo.sink import from_environment  # noqa: PLC0415 - likewise

        return from_environment(where or BASE_URL, clock=clock)


def _file(where: str, example: str) -> str:
    path = where.removeprefix("//")
    if not path:
        raise ConfigurationError(f"the sink has no file: use {example}")
    return path


SQLITE: SinkFactory = _Sqlite()
JSONL: SinkFactory = _Jsonl()
QUO: SinkFactory = _Quo()
