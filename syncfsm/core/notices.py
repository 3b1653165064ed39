"""What webhooks told of, as it waits in a log's inbox: ids, never contents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from syncfsm.core.paging.place import ToldGone
from syncfsm.core.value import Value

RECORD_IDS_MAX = 1000
"""Records that one process takes, or those of one notice; the rest waits for the next."""

KEPT = timedelta(days=7)
"""How long a notice is kept once it is done with: it may come again, from Attio for about three days."""


class Notice(Value, frozen=True):
    """One message of a webhook.

    Attributes:
        source: The name of the source that it came from.
        object: The kind of its records.
        key: What is the same whenever the message is sent again; null if it cannot be known again.
        record_ids: The records it tells of, each once: created, changed, merged or gone. What others were
            merged into is among them, and before them.
        received_at: When it came.
        gone: Those of which it says that they are gone: deleted, or merged into another. Null where that is
            not known; then nobody is deleted unless the source itself says that there is none such.
    """

    source: str
    object: str
    key: str | None
    record_ids: tuple[str, ...]
    received_at: datetime
    gone: tuple[ToldGone, ...] | None = None


class Waiting(Value, frozen=True):
    """What waits in the inbox: the numbers of the notices, and the records they tell of, each once.

    `failed` is the process that had taken them and failed; null for those that none has tried. `gone` are
    those that may be gone, as far as it is known of each notice; null where it is known of none.
    """

    notices: tuple[int, ...] = ()
    record_ids: tuple[str, ...] = ()
    failed: str | None = None
    gone: tuple[ToldGone, ...] | None = None


class Put(NamedTuple):
    """A notice as an inbox has it: its number, its records, who took it and failed, and who may be gone."""

    number: int
    record_ids: tuple[str, ...]
    failed: str | None
    gone: tuple[ToldGone, ...] | None = None


def first_batch(notices: Iterable[Put]) -> Waiting:
    """Return the first notices that one process may take: at most `RECORD_IDS_MAX` records, or one notice.

    Args:
        notices: Those that wait, in the order in which they are to be seen to. Those of which it is known who
            may be gone and those of which it is not do not go together.
    """
    taken: list[Put] = []
    record_ids: dict[str, None] = {}
    gone: dict[ToldGone, None] = {}
    for put in notices:
        wanted = record_ids | dict.fromkeys(put.record_ids)
        if taken and (not _go_together(taken[0], put) or len(wanted) > RECORD_IDS_MAX):
            break
        taken.append(put)
        record_ids = wanted
        gone |= dict.fromkeys(put.gone or ())
    if not taken:
        return Waiting()
    return Waiting(
        notices=tuple(put.number for put in taken),
        record_ids=_those_that_go_last(record_ids, frozenset(one.record_id for one in gone)),
        failed=taken[0].failed,
        gone=None if taken[0].gone is None else tuple(gone),
    )


def _go_together(first: Put, put: Put) -> bool:
    return put.failed == first.failed and (put.gone is None) is (first.gone is None)


def _those_that_go_last(record_ids: Iterable[str], gone: frozenset[str]) -> tuple[str, ...]:
    """Return the records with those at the end that may be gone: what they became is asked for first."""
    return tuple(sorted(record_ids, key=gone.__contains__))
