"""How the start of an ongoing sync is stored: only what is not as in nearly all of them; it is read whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from syncfsm.core.events import SyncStarted
from syncfsm.core.options import Options
from syncfsm.errors import CorruptLog
from syncfsm.log import codec
from syncfsm.log.short_start import LEFT_OUT, OPTIONS_LEFT_OUT, filled

ONGOING = SyncStarted(
    source="crm",
    object="people",
    sink="dict",
    mode="ongoing",
    page_size=50,
    order="newest",
    options=Options(),
    since=datetime(2026, 1, 1, tzinfo=UTC),
)
SHORT = (
    b'{"source":"crm","object":"people","sink":"dict","mode":"ongoing","page_size":50,"order":"newest",'
    b'"since":"2026-01-01T00:00:00Z"}'
)


def test_what_is_left_out_is_what_is_so_by_default() -> None:
    """Other defaults need a higher schema with tables of its own: see the head of the file."""
    assert msgspec.to_builtins(Options()) == OPTIONS_LEFT_OUT
    fields = {field.name: field for field in msgspec.structs.fields(SyncStarted)}
    defaults = {name: fields[name].default for name in LEFT_OUT if name != "options"}
    assert msgspec.json.decode(msgspec.json.encode(defaults)) | {"options": {}} == LEFT_OUT


def test_a_start_like_most_says_little() -> None:
    assert codec.stored(ONGOING) == (2, SHORT)
    assert codec.decode("SyncStarted", 2, SHORT) == ONGOING


@pytest.mark.parametrize(
    "other",
    [
        replace(ONGOING, parent="p1", changed_by="edited"),
        replace(ONGOING, options=Options(overlap_s=0.0, limit_max=100)),
        replace(ONGOING, options=Options(pagination="cursor"), deletes_missing=True),
    ],
)
def test_whatever_is_otherwise_is_said(other: SyncStarted) -> None:
    assert codec.decode("SyncStarted", *codec.stored(other)) == other


@pytest.mark.parametrize("mode", ["initial", "webhook", "rejects"])
def test_a_start_in_another_mode_is_stored_whole_as_ever(mode: Any) -> None:
    other = replace(ONGOING, mode=mode)
    assert codec.stored(other) == (1, msgspec.json.encode(other))
    assert codec.decode("SyncStarted", *codec.stored(other)) == other


def test_nothing_that_is_left_out_is_left_to_the_defaults_of_a_later_version() -> None:
    whole = filled(msgspec.json.decode(SHORT))
    assert whole.keys() == set(SyncStarted.__struct_fields__)
    assert whole["options"] == OPTIONS_LEFT_OUT
    assert whole["options"].keys() == set(Options.__struct_fields__)
    other = filled({"options": {"overlap_s": 7.0}, "parent": "p1"})
    assert (other["options"]["overlap_s"], other["options"]["limit_max"], other["parent"]) == (7.0, 500, "p1")


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"options":7}', SHORT.decode().replace("}", ',"more":1}')])
def test_data_that_does_not_fit_is_a_corrupt_log(data: str) -> None:
    with pytest.raises(CorruptLog, match="SyncStarted"):
        codec.decode("SyncStarted", 2, data)
