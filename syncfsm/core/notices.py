"""What webhooks told of, as it waits in a log's inbox: ids, never contents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

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
        record_ids: The records it tells of, each once: created, changed, merged or gone.
        received_at: When it came.
    """

    source: str
    object: str
    key: str | None
    record_ids: tuple[str, ...]
    received_at: datetime


class Waiting(Value, frozen=True):
    """What waits in the inbox: the numbers of the notices, and the records they tell of, each once.

    `failed` is the process that had taken them and failed; null for those that none has tried.
    """

    notices: tuple[int, ...] = ()
    record_ids: tuple[str, ...] = ()
    failed: str | None = None


def first_batch(notices: Iterable[tuple[int, tuple[str, ...], str | None]]) -> Waiting:
    """Return the first notices that one process may take: at most `RECORD_IDS_MAX` records, or one notice.

    Args:
        notices: Those that wait, in the order in which they are to be seen to: the number of each, its
            records, and the process that had taken it and failed, null if none has tried it.
    """
    numbers: list[int] = []
    record_ids: dict[str, None] = {}
    whose: str | None = None
    for number, more, failed in notices:
        wanted = record_ids | dict.fromkeys(more)
        if numbers and (failed != whose or len(wanted) > RECORD_IDS_MAX):
            break
        numbers.append(number)
        record_ids, whose = wanted, failed
    return Waiting(notices=tuple(numbers), record_ids=tuple(record_ids), failed=whose)
