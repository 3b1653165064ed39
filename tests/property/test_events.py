"""Every event comes back from its bytes, and from the log, as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncfsm.core import events as e
from syncfsm.core.options import Options
from syncfsm.core.paging.place import FrontierMark, Reject
from syncfsm.core.totals import Totals
from syncfsm.errors import CorruptLog
from syncfsm.log import codec
from syncfsm.log.codec import chain, from_columns, from_row, to_rows

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
for type_, strategy in ((datetime, MOMENTS), (float, st.floats(0, 1e6)), (int, st.integers(-(2**40), 2**40))):
    st.register_type_strategy(type_, strategy)

# The types are aliases and nested structs; Hypothesis builds each from its annotations.
NESTED = {cls: st.builds(cls) for cls in (FrontierMark, Reject, Totals, Options)}
for cls, strategy in NESTED.items():
    st.register_type_strategy(cls, strategy)

ANY_EVENT = st.one_of([st.builds(cls) for cls in e.EVENT_TYPES.values()])


@given(ANY_EVENT)
def test_every_event_comes_back_from_its_bytes(event: e.Event) -> None:
    assert codec.decode(type(event).__name__, *codec.stored(event)) == event


@given(
    st.lists(ANY_EVENT, min_size=1, max_size=5),
    MOMENTS,
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
def test_every_event_comes_back_from_its_row_with_its_digest_chained(
    events: list[e.Event], at: datetime, meta: dict[str, str]
) -> None:
    recorded = [
        e.Recorded(stream="p1", version=version, at=at, event=event, meta=meta)
        for version, event in enumerate(events, start=1)
    ]
    rows = to_rows(recorded, "")
    previous = ""
    for record, row in zip(recorded, rows, strict=True):
        back = from_row(row)
        assert (back.event, back.at, back.meta, back.version) == (record.event, at, meta, record.version)
        assert (back.stream, back.position, back.digest) == (row.stream, row.position, row.digest)
        assert row.digest == chain(previous, row) != chain(f"{previous}x", row)
        previous = row.digest
    columns = [msgspec.structs.astuple(row) for row in rows]
    bare = [(position, *rest) for position, _, *rest in columns]
    assert list(from_columns("p1", bare)) == [from_row(row) for row in rows]


@given(ANY_EVENT, st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_of_the_data_changes_the_digest(event: e.Event, place: int, change: int) -> None:
    (row,) = to_rows(
        [e.Recorded(stream="p1", version=1, at=datetime(2026, 1, 1, tzinfo=UTC), event=event)], ""
    )
    data = bytearray(row.data.encode())
    data[place % len(data)] ^= change
    changed = msgspec.structs.replace(row, data=data.decode(errors="replace"))
    assert chain("", changed) != row.digest


@pytest.mark.parametrize("data", ["", "{", "[]", "{}", '{"found": 7}', '{"found": {}, "more": 1}'])
def test_data_that_does_not_fit_is_a_corrupt_log(data: str) -> None:
    with pytest.raises(CorruptLog, match="FetchingBegan"):
        codec.decode("FetchingBegan", 1, data)


def test_an_unknown_type_is_a_corrupt_log_that_says_what_to_do() -> None:
    with pytest.raises(CorruptLog, match="a newer one"):
        codec.decode("PageTeleported", 1, "{}")


@pytest.fixture
def other_schemas() -> Iterator[None]:
    """Let a test change what schemas there are: they are looked up once for each."""
    codec._reader.cache_clear()
    yield
    codec._reader.cache_clear()


@pytest.mark.usefixtures("other_schemas")
def test_an_old_shape_is_brought_up_to_date_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e.SyncCancelled, "schema", 3)
    monkeypatch.setitem(codec.UPCASTERS, ("SyncCancelled", 1), lambda shape: {"by": shape["who"]})
    monkeypatch.setitem(codec.UPCASTERS, ("SyncCancelled", 2), lambda shape: {**shape, "why": "unknown"})
    assert codec.decode("SyncCancelled", 1, '{"who": "ada"}') == e.SyncCancelled(by="ada", why="unknown")
    assert codec.decode("SyncCancelled", 2, '{"by": "ada"}') == e.SyncCancelled(by="ada", why="unknown")
