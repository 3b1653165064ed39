"""The gate for what was encoded outside: one error for whatever a decoder raises, and it repeats nothing."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from syncfsm.outside.decoding import Decoder, NoTimestamp, Undecodable, to_utc
from syncfsm.sources.attio.person import Person, PersonRecord, PersonValues, TextValue, person_of
from syncfsm.sources.attio.wire import normal_timestamp, to_company_name, to_record
from syncfsm.sources.protocol import Record
from syncfsm.webhooks.messages import Malformed, read
from tests.unit.test_structure import ROOT

DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("type_", "data", "words"),
    [
        (str, b'"caf\xe9"', "a byte in it is no UTF-8"),
        (dict[str, msgspec.Raw], b'{"caf\xe9":1}', "a byte in it is no UTF-8"),
        (list[msgspec.Raw], DEEP, "it is nested too deeply"),
        (int, b"1" * 5000, "Integer value out of range"),
        (float, b"1e999", "Number out of range"),
        (str, b'"half a cha', "Input data was truncated"),
        (str, b"7", "Expected `str`, got `int`"),
        (str, b"", "Input data was truncated"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_whatever_cannot_be_decoded_is_one_error_in_safe_words(type_: Any, data: bytes, words: str) -> None:
    decoder: Decoder[Any] = Decoder(type_)
    with pytest.raises(Undecodable, match=words) as caught:
        decoder.decode(data)
    assert "caf" not in str(caught.value)
    assert decoder.decoded(data) is None


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13-01", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "2026-01-01T25:00"],
)
def test_a_moment_beyond_the_calendar_is_none(text: str) -> None:
    with pytest.raises(NoTimestamp):
        to_utc(text)
    with pytest.raises(NoTimestamp):
        normal_timestamp(text)


def test_a_text_of_the_right_length_is_no_timestamp_yet() -> None:
    with pytest.raises(NoTimestamp):
        normal_timestamp("aaaaaaaaaaaaaaaaaaa.aaaaaaaaaZ")
    assert normal_timestamp("0987-01-02T03:04:05Z") == "0987-01-02T03:04:05.000000000Z"


def row(record_id: bytes = b"r1", created_at: bytes = b"2026-01-01T00:00:00Z") -> msgspec.Raw:
    values = b'{"created_at":[{"value":"' + created_at + b'"}]}'
    return msgspec.Raw(b'{"id":{"record_id":"' + record_id + b'"},"values":' + values + b"}")


@pytest.mark.parametrize(
    ("bad", "record_id", "words"),
    [
        (row(record_id=b"caf\xe9"), "", "a byte in it is no UTF-8"),
        (row(created_at=b"caf\xe9"), "r1", "a byte in it is no UTF-8"),
        (row(created_at=b"9999-12-31T23:59:59-01:00"), "r1", "values.created_at is not a timestamp"),
    ],
)
def test_a_row_that_cannot_be_read_is_one_reject(bad: msgspec.Raw, record_id: str, words: str) -> None:
    record = to_record(bad, "newest")
    assert (record.id, record.problem) == (record_id, f"cannot be placed: {words}")


def test_a_person_is_decoded_once_with_its_place() -> None:
    record = to_record(row(), "newest")
    assert isinstance(record, PersonRecord)
    assert person_of(record) is record.decoded[1]
    given = Record(id=record.id, key=record.key, raw=bytes(row()))
    assert person_of(given) == Person(values=PersonValues()), "a record of somebody's own is decoded then"


def test_a_record_whose_bytes_were_replaced_is_the_person_that_they_say() -> None:
    other = b'{"values":{"job_title":[{"value":"Welder"}]}}'
    person = person_of(replace(to_record(row(), "newest"), raw=other))
    assert person.values.job_title == [TextValue(value="Welder")]


def test_a_row_that_is_no_person_still_has_its_place() -> None:
    values = b'{"created_at":[{"value":"2026-01-01T00:00:00Z"}],"name":7}'
    record = to_record(msgspec.Raw(b'{"id":{"record_id":"r1"},"values":' + values + b"}"), "newest")
    assert (record.id, record.key, record.problem) == ("r1", "2026-01-01T00:00:00.000000000Z", "")
    assert person_of(record).values.name is UNSET


def test_a_company_whose_name_cannot_be_read_is_as_one_that_did_not_come() -> None:
    name = b'{"name":[{"value":"Caf\xe9"}]}'
    assert to_company_name(msgspec.Raw(b'{"id":{"record_id":"c1"},"values":' + name + b"}")) is None


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"events":[{"event_type":"record.created","id":' + DEEP + b"}]}",
        b'{"events":[{"event_type":"record.created","id":{"record_id":"\xe9"}}]}',
    ],
    ids=["deep", "deep within", "no text"],
)
def test_a_webhook_that_cannot_be_read_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body, "object")


def test_whatever_comes_from_outside_comes_through_the_gate() -> None:
    rooms = ("outside", "sources", "sinks", "webhooks", "log/transfer")
    ours = {
        "decoding.py",
        "captured.py",
    }  # the gate itself; and what the log kept of what had come through it
    for room in rooms:
        for path in (ROOT / "syncfsm" / room).rglob("*.py"):
            found = re.search(r"json\.(?:decode|loads|Decoder)\b", path.read_text())
            assert path.name in ours or found is None, path
