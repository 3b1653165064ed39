"""The peer: the same sync in the library `eventsourcing`, in two of the styles that its docs teach.

`Eventsourcing` is the tutorial's: an `Aggregate`, an event class for each kind of event, the JSON transcoder
that comes with it. `EventsourcingMsgspec` is the fastest of its examples (aggregate 9): events are msgspec
structs, a mapper of one's own writes and reads them; here with decoders that are built once, not for each
event. Both check the order of versions, but not what may follow what.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import get_topic, resolve_topic

from benchmarks.evolve import EVOLVE
from benchmarks.workload import Append
from syncfsm.core.events import EVENT_TYPES, Event, Recorded

SYNC_ID = uuid5(NAMESPACE_URL, "benchmark")


class Sync(Aggregate):
    """A sync as an aggregate; its event classes are added below, one for each kind of event."""


def _event_class(cls: type[Event]) -> Any:
    """Return the explicit event class that a user of the library would write for one of ours."""
    base: Any = Aggregate.Created if cls.__name__ == "SyncStarted" else Aggregate.Event
    evolve = EVOLVE[cls.__name__]
    namespace = {
        "__module__": __name__,
        "__qualname__": f"Sync.{cls.__name__}",
        "__annotations__": dict.fromkeys(cls.__struct_fields__, Any),
        "apply": lambda self, sync: evolve(sync, self),
    }
    return type(base)(cls.__name__, (base,), namespace)


for _name in EVOLVE:
    setattr(Sync, _name, _event_class(EVENT_TYPES[_name]))


class Eventsourcing:
    """The library as its tutorial uses it."""

    name = "eventsourcing, JSON"
    application: ClassVar[type[Application[UUID]]] = Application

    def __init__(self, folder: Path) -> None:
        self._env = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(folder / "eventsourcing.db"),
        }
        self._app = self.application(env=self._env)

    def write(self, appends: Iterable[Append]) -> float:
        """See `Contestant`. The snapshot is taken at the end, and not part of the time."""
        spent_s = 0.0
        for recorded, _ in appends:
            events = [self._event(record) for record in recorded]
            began = perf_counter()
            self._app.save(*events)
            spent_s += perf_counter() - began
        with self._with_snapshots() as app:
            app.take_snapshot(SYNC_ID)
        return spent_s

    def replay(self) -> int:
        """See `Contestant`."""
        return _fetched(self._app)

    def first_state(self) -> int:
        """See `Contestant`."""
        with self._with_snapshots() as app:
            return _fetched(app)

    def close(self) -> None:
        """See `Contestant`."""
        self._app.close()

    def _with_snapshots(self) -> Application[UUID]:
        return self.application(env={**self._env, "IS_SNAPSHOTTING_ENABLED": "y"})

    def _event(self, record: Recorded) -> Any:
        fields = dict.fromkeys(record.event.__struct_fields__)  # what is unset is left out of ours
        fields |= msgspec.to_builtins(record.event, builtin_types=(datetime,))
        if record.version == 1:
            fields["originator_topic"] = get_topic(Sync)
        return getattr(Sync, record.type)(
            originator_id=SYNC_ID, originator_version=record.version, timestamp=record.at, **fields
        )


def _fetched(app: Application[UUID]) -> int:
    sync: Any = app.repository.get(SYNC_ID)
    return int(sync.fetched)


class PlainSync:
    """The state of a sync, for events that are msgspec structs."""

    id: UUID
    version: int = 0


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The base of the events that are msgspec structs; `data` is an event of syncfsm."""

    originator_id: UUID
    originator_version: int
    timestamp: datetime
    data: Event

    def mutate(self, sync: PlainSync | None) -> PlainSync:
        """Evolve the state, as `Aggregate.Event.mutate` does."""
        sync = sync or PlainSync()
        assert self.originator_version == sync.version + 1, "the versions come in order"
        EVOLVE[type(self.data).__name__](sync, self.data)
        sync.id, sync.version = self.originator_id, self.originator_version
        return sync


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A state as it was, by the names of its fields."""

    originator_id: UUID
    originator_version: int
    timestamp: datetime
    data: dict[str, Any]

    @classmethod
    def take(cls, sync: PlainSync) -> Snapshot:
        """Return the snapshot of a state."""
        at = datetime.fromisoformat("2026-01-01T00:00:00Z")
        return cls(originator_id=sync.id, originator_version=sync.version, timestamp=at, data=vars(sync))

    def mutate(self, _: None) -> PlainSync:
        """Return the state."""
        sync = PlainSync()
        vars(sync).update(self.data, id=self.originator_id)
        return sync


ENVELOPES = {
    name: msgspec.defstruct(
        f"{name}Envelope",
        [("data", EVENT_TYPES[name])],
        bases=(Envelope,),
        module=__name__,
        frozen=True,
        kw_only=True,
    )
    for name in EVOLVE
}
globals().update({cls.__name__: cls for cls in ENVELOPES.values()})  # the library finds a class by its name


class MsgspecMapper(Mapper[UUID]):
    """Writes and reads structs; what a record holds beside them is left out, as in the library's example."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Return the event as it is stored."""
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(type(domain_event)),
            state=msgspec.json.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the event that was stored."""
        return _decoder(stored_event.topic).decode(stored_event.state)


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(resolve_topic(topic))


class MsgspecApplication(Application[UUID]):
    """An application whose events are structs."""

    env: ClassVar[dict[str, str]] = {"MAPPER_TOPIC": get_topic(MsgspecMapper)}
    snapshot_class = Snapshot  # type: ignore[assignment]


class EventsourcingMsgspec(Eventsourcing):
    """The library with msgspec, as in its examples."""

    name = "eventsourcing, msgspec"
    application = MsgspecApplication

    def _event(self, record: Recorded) -> Any:
        return ENVELOPES[record.type](
            originator_id=SYNC_ID, originator_version=record.version, timestamp=record.at, data=record.event
        )


PEERS = (Eventsourcing, EventsourcingMsgspec)
