"""Which words from outside may be repeated, and how a secret is taken out of a body."""

from __future__ import annotations

import pytest

from syncfsm.outside.safe_words import forms, holds, plain_url, uuid, without, word

SECRET = "a/planted+key\\0123456789"


@pytest.mark.parametrize("text", ["filter_error", "not_found", "people", "api-v2", "a"])
def test_codes_and_slugs_are_words(text: str) -> None:
    assert word(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "Ada", "ada lovelace", "ada@x.example", "+4915199988877", "a5551234567", "a" * 41, "x__y", 7, None,
     "ünder", "filter_error\n", "6f1e0b5c"],
)  # fmt: skip
def test_whatever_could_be_a_person_or_a_key_is_no_word(text: object) -> None:
    assert word(text) == ""


def test_an_id_is_a_uuid_or_nothing() -> None:
    assert uuid("14beef7a-99f7-4534-a87e-70b564330a4c") == "14beef7a-99f7-4534-a87e-70b564330a4c"
    assert uuid("ada@x.example") == ""


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("HTTPS://API.Example", "https://api.example"),
        ("http://[2001:DB8::1]:8787/", "http://[2001:db8::1]:8787"),
        ("https://Proxy.example/Attio/V2/", "https://proxy.example/Attio/V2"),
    ],
)
def test_a_url_is_named_in_one_way_of_writing_its_path_as_it_is(url: str, name: str) -> None:
    assert plain_url(url) == name


@pytest.mark.parametrize(
    "said", ["a/planted+key\\0123456789", "a%2Fplanted%2Bkey%5C0123456789", r"a/planted+key\\0123456789"]
)
def test_a_secret_is_taken_out_plain_from_urls_and_from_json(said: str) -> None:
    assert without(f"<{said}>".encode(), [SECRET]) == b"<[redacted]>"
    assert holds(f"<{said}>", SECRET)


def test_a_short_secret_is_part_of_common_words_and_left_alone() -> None:
    assert forms("any") == frozenset()
    assert without(b"company", ["any"]) == b"company"
    assert not holds("--no-companies", "any")
