"""The sources that come with syncfsm, as factories."""

from __future__ import annotations

from typing import Any

from syncfsm.core.options import Order, Pagination
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.sources import axiscare
from syncfsm.sources.attio import source as attio
from syncfsm.sources.attio.people import AttioPeople
from syncfsm.sources.factory import SourceFactory, SourceSettings
from syncfsm.sources.protocol import Source, Transform


class _Attio:
    name = attio.KIND
    description = "Attio: the people of a workspace, or the records of another of its objects."
    key_variable = attio.KEY_VARIABLE
    pagination: Pagination = "offset"
    orders: tuple[Order, ...] = attio.AttioSource.orders

    def open(self, settings: SourceSettings) -> Source:
        """Open the object of a workspace."""
        base_url = settings.base_url or attio.BASE_URL
        object_ = settings.object or "people"
        return attio.AttioSource(
            settings.key,
            object_,
            base_url=base_url,
            clock=settings.clock,
            transport=settings.transport,
            options=settings.options,
            changed_by=settings.changed_by,
            account=settings.account,
        )

    def transform(self, source: Any, settings: SourceSettings) -> Transform[Contact]:
        """Return the transform of people."""
        return AttioPeople(source, companies=settings.companies, without=settings.without)


class _AxisCare:
    name = axiscare.KIND
    description = "AxisCare: the clients of an agency; --base-url says which agency."
    key_variable = axiscare.KEY_VARIABLE
    pagination: Pagination = "cursor"
    orders: tuple[Order, ...] = axiscare.AxisCareSource.orders

    def open(self, settings: SourceSettings) -> Source:
        """Open the clients of an agency."""
        if settings.base_url is None:
            raise ConfigurationError("an AxisCare agency has a host of its own: give --base-url with its URL")
        if settings.object not in {None, axiscare.AxisCareSource.object}:
            raise ConfigurationError(f"of AxisCare, only clients can be synced, not {settings.object!r}")
        return axiscare.AxisCareSource(
            settings.key,
            base_url=settings.base_url,
            clock=settings.clock,
            transport=settings.transport,
            options=settings.options,
            account=settings.account,
        )

    def transform(self, source: Any, settings: SourceSettings) -> Transform[Contact]:  # noqa: ARG002
        """Return the transform of clients."""
        return axiscare.AxisCareClients(source)


ATTIO: SourceFactory = _Attio()
AXISCARE: SourceFactory = _AxisCare()
