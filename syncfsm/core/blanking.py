"""What a page would empty in the sink: counted for each field, and when it is more than one sync may.

A source that answers with empty lists where it had values is well-formed, and may be wrong: an attribute was
made anew, an import went amiss. Nobody can tell that from one contact, so the share of those that lose a
field counts, over the whole sync. No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import field

from syncfsm.core.options import Options
from syncfsm.core.value import Value


class Blanking(Value, frozen=True):
    """What of contacts that a sink has already would be emptied.

    Attributes:
        had: Of each field, how many of the contacts have a value in it; fields that none has are left out.
        blanked: Of each field, how many of those would lose it; likewise.
    """

    had: dict[str, int] = field(default_factory=dict)
    blanked: dict[str, int] = field(default_factory=dict)


class Overrun(Value, frozen=True):
    """A field that more contacts would lose than one sync may empty, of those that it came to."""

    name: str
    blanked: int
    had: int


def blanking_of(changes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Blanking:
    """Return what changes would empty: each the fields as they are, and as they would be."""
    had: Counter[str] = Counter()
    blanked: Counter[str] = Counter()
    for before, after in changes:
        there = [name for name, value in before.items() if value]
        had.update(there)
        blanked.update(name for name in there if not after[name])
    return Blanking(had=dict(had), blanked=dict(blanked))


def added(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Return the counts with more added, by their names; the same counts where there is nothing to add."""
    if not more:
        return counts
    return {name: counts.get(name, 0) + more.get(name, 0) for name in sorted(counts.keys() | more.keys())}


def overrun(before: Blanking, page: Blanking, options: Options) -> Overrun | None:
    """Return the field of which a page would empty too much, with what the pages before it emptied."""
    had, blanked = added(before.had, page.had), added(before.blanked, page.blanked)
    for name in page.blanked:
        if blanked[name] > max(options.blanked_min, options.blanked_ratio_max * had[name]):
            return Overrun(name=name, blanked=blanked[name], had=had[name])
    return None
