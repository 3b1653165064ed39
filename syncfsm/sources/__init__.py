"""The sources: `Source` is what they promise, `open_source` opens one by its name; a module for each API.

Whoever writes a source or a transform finds here what it takes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.core.options import Order, Pagination
from syncfsm.core.paging.pages import PageRequest
from syncfsm.core.paging.place import Reject
from syncfsm.core.source_name import SourceName, named_source
from syncfsm.errors import ConfigurationError
from syncfsm.outside.authorization import Key, KeyProvider
from syncfsm.sources.attio import AttioPeople, AttioSource
from syncfsm.sources.axiscare import AxisCareClients, AxisCareSource
from syncfsm.sources.factory import SOURCES, SourceFactory, SourceSettings
from syncfsm.sources.numbered import NumberedApi, NumberedSource
from syncfsm.sources.protocol import Page, Record, Source, Transform, Transformed

if TYPE_CHECKING:
    from syncfsm.items.contact import Contact

__all__ = [
    "AttioPeople",
    "AttioSource",
    "AxisCareClients",
    "AxisCareSource",
    "Failure",
    "FailureKind",
    "Key",
    "KeyProvider",
    "NumberedApi",
    "NumberedSource",
    "OpenedSource",
    "Order",
    "Page",
    "PageRequest",
    "Pagination",
    "Record",
    "Reject",
    "Source",
    "SourceFactory",
    "SourceName",
    "SourceSettings",
    "Transform",
    "Transformed",
    "named_source",
    "open_source",
]


class OpenedSource(NamedTuple):
    """A source, and what makes contacts of its records."""

    source: Source
    transform: Transform[Contact]


def open_source(name: str, *, key: Key | None = None, **settings: Any) -> OpenedSource:
    """Open the source that is asked for by a name: `attio`, `axiscare`, or one that a package brings.

    Args:
        name: What it is asked for by.
        key: What it is opened with, or who provides that; what its variable of the environment holds if
            `None`.
        settings: As in `SourceSettings`: `account`, `base_url`, `object`, `changed_by`, `clock`, …

    Raises:
        ConfigurationError: There is no such source, it cannot be opened so, or is not what it says it is.
    """
    if settings.get("object") == "":
        raise ConfigurationError("the object is an empty text: name one, or leave it out for the usual one")

    def opened(factory: SourceFactory) -> OpenedSource:
        given = os.environ.get(factory.key_variable, "") if key is None else key
        wanted = SourceSettings(key=given, **settings)
        source = factory.open(wanted)
        _check(SourceName(kind=name, account=wanted.account), source, wanted.changed_by)
        transform = factory.transform(source, wanted)
        _check_without(name, transform, wanted.without)
        return OpenedSource(source, transform)

    return SOURCES.use(name, opened)


def _check(wanted: SourceName, source: Source, changed_by: str | None) -> None:
    name = wanted.items_source
    if wanted.account and source.kind == wanted.kind:
        raise ConfigurationError(
            f"the source {wanted.kind} cannot tell accounts apart: leave out the account {wanted.account}, "
            "and give each a log and a sink of its own"
        )
    if source.kind != name or SourceName.of(source.name).items_source != name:
        raise ConfigurationError(
            f"the source {wanted.kind} opens one whose kind is {source.kind!r}, and name {source.name!r}: "
            f"both must be {name!r}, the name with a colon and more if need be, or its records could not be "
            "told apart"
        )
    if changed_by and source.changed_by != changed_by:
        raise ConfigurationError(
            f"the source {wanted.kind} cannot ask for what changed: leave out --changed-by"
        )


def _check_without(name: str, transform: Transform[Contact], without: tuple[str, ...]) -> None:
    """Refuse what would not be heeded: a field that is to be left alone must not be emptied in silence."""
    if without and not set(without) <= set(getattr(transform, "without", ())):
        raise ConfigurationError(f"the source {name} cannot leave fields alone: leave out --without")
