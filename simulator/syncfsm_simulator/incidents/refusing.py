"""Which processes cannot be made a scenario, whatever their path was."""

from __future__ import annotations

from syncfsm.core import events as e
from syncfsm.errors import NotReproducible


def refuse(began: e.SyncStarted, last: e.Event) -> None:
    """Refuse a process that no scenario can have, by its first event and its last.

    Raises:
        NotReproducible: It is one.
    """
    _refuse_deletions(began)
    _refuse_cursors(began)
    _refuse_nothing_new(last)


def _refuse_deletions(began: e.SyncStarted) -> None:
    """Refuse a process that may delete: invented people are never gone."""
    if began.mode == "webhook" or began.deletes_missing:
        what = "saw to webhooks" if began.mode == "webhook" else "deletes what is missing"
        raise NotReproducible(f"a process that {what} cannot be made a scenario: nobody in one is ever gone")


def _refuse_cursors(began: e.SyncStarted) -> None:
    """Refuse a process that followed cursors: the people of a scenario are asked for by their places."""
    if began.options.pagination == "cursor" and not began.record_ids:
        raise NotReproducible(
            "a process that followed cursors cannot be made a scenario: the people of one have places, by "
            "offset or by number, and no cursors"
        )


def _refuse_nothing_new(last: e.Event) -> None:
    """Refuse a process that found nothing new: it is so short since one before it found all in order."""
    if isinstance(last, e.NothingNewFound):
        raise NotReproducible(
            "a process that found nothing new cannot be made a scenario: it takes another one before it, and "
            "one in a scenario has none"
        )
