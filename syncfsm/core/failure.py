"""What the world does wrong, as a value: the kinds of failure, and which of them pass by waiting.

Sources and sinks return a `Failure` where others would raise; `decide` turns it into events. One table
says what to do about each kind.
"""

from __future__ import annotations

import enum

from syncfsm.core.value import Value


class FailureKind(enum.StrEnum):
    """What went wrong, classed by what helps against it."""

    RATE_LIMITED = "rate_limited"  # the server asked for patience; the request was not executed
    UNAVAILABLE = "unavailable"  # 5xx, refused or reset connection
    TIMEOUT = "timeout"  # no answer in time
    MALFORMED = "malformed"  # an answer that is not what the API promises, or is cut short
    TOO_LARGE = "too_large"  # a body past the limit
    UNTRUSTED = "untrusted"  # a server whose certificate cannot be verified
    UNAUTHORIZED = "unauthorized"  # a wrong or missing key
    FORBIDDEN = "forbidden"  # a key that may not do this
    NOT_FOUND = "not_found"  # no such object
    UNFIT = "unfit"  # the object is there, but not what is to be read of it
    ELSEWHERE = "elsewhere"  # a key of another workspace than before
    BAD_REQUEST = "bad_request"  # the server refuses what was asked
    MISDIRECTED = "misdirected"  # a link to the next page that leads elsewhere
    NOT_YET = "not_yet"  # the source does not have yet what it told of
    CURSOR_LOST = "cursor_lost"  # the source does not know any more where it said that the next page is
    UNWRITABLE = "unwritable"  # the sink cannot be written: disk full, read-only
    FOREIGN = "foreign"  # the sink's file is something else's
    EMPTIED = "emptied"  # nothing is in the sink any more of what came into it
    PUT_BACK = "put_back"  # the sink has not what the log says was delivered: an older copy of it
    REPLACED = "replaced"  # the sink's file was moved, removed, cut short or replaced while it was in use
    MIXED = "mixed"  # the sink has items of another account, whose ids may be the same
    LOCKED = "locked"  # the sink is held by somebody else for now
    RAISED = "raised"  # code that was plugged in raised an error, or broke what it promised


RETRYABLE = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.UNAVAILABLE,
        FailureKind.TIMEOUT,
        FailureKind.MALFORMED,
        FailureKind.LOCKED,
        FailureKind.NOT_YET,
    }
)
"""Kinds that waiting may cure. All others end the sync at once, resumable once the cause is mended."""


class Failure(Value, frozen=True):
    """One failure of a source, a transform or a sink.

    Attributes:
        kind: What helps against it.
        message: What happened and what to do, in words; never a key, never a record's content.
        status: The HTTP status, if there was one.
        retry_after_s: The wait that the server asked for, seconds.
        code: The server's own word for it, if it has one that may be repeated.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    retry_after_s: float | None = None
    code: str = ""

    @property
    def is_retryable(self) -> bool:
        """Whether trying again later may help."""
        return self.kind in RETRYABLE
