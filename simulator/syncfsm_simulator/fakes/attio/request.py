"""A request as the handlers of routes see it, and their answers."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from syncfsm_simulator.fakes.asgi import Reply
from syncfsm_simulator.fakes.attio.errors import bad_json, invalid

T = TypeVar("T")

_DIGITS_MAX = 15


class Request(msgspec.Struct, frozen=True):
    """What a route needs to know.

    Attributes:
        body: The body as it came.
        params: The parts of the path, by name.
        query: The parameters in the URL.
        token: The token, without its scheme; none if it is missing or malformed.
    """

    body: bytes
    params: dict[str, str]
    query: dict[str, str]
    token: str | None

    def json(self, default: bytes = b"") -> Any:
        """Return the body, decoded; `default` stands for an empty one.

        Raises:
            ApiError: A 400: it is no JSON.
        """
        try:
            return msgspec.json.decode(self.body or default)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_json() from error

    def data(self) -> dict[str, Any]:
        """Return the `data` of the body, which every write has.

        Raises:
            ApiError: A 400: there is none.
        """
        body = self.json()
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            received = "undefined" if data is None else type(data).__name__
            raise invalid(["data"], "Required", expected="object", received=received)
        return data

    def page(self, items: list[T]) -> list[T]:
        """Return the part of a list that `limit` and `offset` in the URL ask for.

        Raises:
            ApiError: A 400: one of them is no whole number, or makes no sense.
        """
        offset, limit = self._number("offset", 0, 0), self._number("limit", max(1, len(items)), 1)
        return items[offset : offset + limit]

    def _number(self, name: str, default: int, least: int) -> int:
        written = self.query.get(name, str(default))
        is_number = len(written) <= _DIGITS_MAX and written.isascii() and written.isdigit()
        if not is_number or int(written) < least:
            raise invalid([name], f"Expected a whole number of {least} or more", expected="integer")
        return int(written)


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return an answer with a body in JSON."""
    return Reply(status, msgspec.json.encode(value))
