"""Phone numbers as they are read for Quo: whole numbers, or none."""

from __future__ import annotations

import pytest

from syncfsm.sinks.quo.phones import PhoneReader


def read(text: str, region: str | None = None) -> str | None:
    number = PhoneReader(region).read(text)
    return number.e164 if number else None


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("555-0123", "US"),
        ("+1 555 0123", "US"),
        ("+15550123", None),
        ("1111", "GB"),
        ("+441111", None),
        ("+49 30", None),
        ("(415) 555-2671 / 2672", "US"),
        ("+52 555 123 456", None),
    ],
)
def test_what_can_be_dialled_within_a_town_only_is_no_number(text: str, region: str | None) -> None:
    assert read(text, region) is None


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("+1 415 555 2671", None, "+14155552671"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+54 9 11 2345-6789", None, "+5491123456789"),
        ("+39 06 698 12345", None, "+390669812345"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("+49 30 901820", None, "+4930901820"),
    ],
)
def test_a_whole_number_is_read(text: str, region: str | None, e164: str) -> None:
    assert read(text, region) == e164


@pytest.mark.parametrize(
    "text", ["+52 1 55 1234 5678", "+521 5512345678", "+52 55 1234 5678", "+5215512345678"]
)
def test_a_mexican_mobile_number_of_old_is_the_one_without_the_1(text: str) -> None:
    assert read(text) == "+525512345678"


def test_the_old_mobile_mark_goes_within_mexico_too_and_nowhere_else() -> None:
    assert read("1 55 1234 5678", "MX") == "+525512345678"
    assert read("+1 555 123 4567") == "+15551234567"


def test_an_extension_survives_the_mending() -> None:
    number = PhoneReader().read("+52 1 55 1234 5678 ext. 9")
    assert number is not None
    assert (number.e164, number.has_extension) == ("+525512345678", True)
