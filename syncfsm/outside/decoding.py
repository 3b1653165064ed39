"""The one gate through which everything comes that was encoded outside: bodies, webhooks, lines of files.

A decoder raises many things besides its own errors: bytes that are no text, arrays nested deeper than a
stack, numbers with more digits than Python converts. Whoever decodes here has one error to heed, whose words
name what is wrong and repeat nothing of it, and makes of it what it is: a reject of one record, or a
`Failure`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")

COUNT_MAX = 2**63 - 1
"""What a database can hold, and any log and sink with it."""


class Undecodable(ValueError):
    """Something from outside that is not what it should be; the words may be repeated."""


class OfAnotherType(Undecodable):
    """A value that can be read, and is not of the type that it should be of."""


class NoTimestamp(Undecodable):
    """A text that is no moment."""


class Decoder(Generic[T]):
    """Decodes JSON from outside into one type.

    Args:
        type_: What it should be.
    """

    @overload
    def __init__(self, type_: type[T]) -> None: ...

    @overload
    def __init__(self: Decoder[Any], type_: Any) -> None: ...

    def __init__(self, type_: Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)

    def decode(self, data: bytes | str | msgspec.Raw) -> T:
        """Return what the data says.

        Raises:
            Undecodable: It says something else, or cannot be read.
        """
        try:
            return self._decoder.decode(data)
        except UnicodeDecodeError as error:
            raise Undecodable("a byte in it is no UTF-8") from error
        except RecursionError as error:
            raise Undecodable("it is nested too deeply") from error
        except msgspec.ValidationError as error:
            raise OfAnotherType(str(error)) from error
        except msgspec.DecodeError as error:  # which names the place and the type, never the value
            raise Undecodable(str(error)) from error
        except (ValueError, OverflowError) as error:
            raise Undecodable("a number in it is out of range") from error

    def decoded(self, data: bytes | str | msgspec.Raw) -> T | None:
        """Return what the data says, or `None` if it says something else."""
        try:
            return self.decode(data)
        except Undecodable:
            return None


def to_utc(text: str) -> datetime:
    """Return a timestamp as a moment in UTC; one that does not say where its clock is, is UTC.

    Raises:
        NoTimestamp: It is none, or one that lies beyond the calendar.
    """
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NoTimestamp("not a timestamp") from error
