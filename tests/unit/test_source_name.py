"""What a source is called: its kind, its account, and where its API is; and who may be called so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncfsm.core.source_name import ACCOUNT_LENGTH_MAX, SourceName, account_of, checked_account, named_source
from syncfsm.errors import ConfigurationError
from syncfsm.sources import AttioSource, AxisCareSource

LETTERS = "abcXYZ019"
ACCOUNTS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)


@given(
    kind=st.text(LETTERS, min_size=1),
    account=st.just("") | ACCOUNTS,
    where=st.sampled_from(["", "https://api.example/v2", "http://[::1]:80", "a@b:c"]),
)
def test_a_name_is_taken_apart_into_what_it_was_made_of(kind: str, account: str, where: str) -> None:
    named = named_source(kind, account, where)
    assert SourceName.of(str(named)) == named
    assert account_of(str(named)) == account


@pytest.mark.parametrize(
    ("name", "kind", "account", "where", "items"),
    [
        ("attio", "attio", "", "", "attio"),
        ("attio@acme", "attio", "acme", "", "attio@acme"),
        ("attio:https://proxy.test", "attio", "", "https://proxy.test", "attio"),
        ("attio@acme:https://proxy.test", "attio", "acme", "https://proxy.test", "attio@acme"),
        ("attio:https://user@proxy.test", "attio", "", "https://user@proxy.test", "attio"),
        ("", "", "", "", ""),
    ],
)
def test_what_old_logs_say_is_read_as_ever(
    name: str, kind: str, account: str, where: str, items: str
) -> None:
    named = SourceName.of(name)
    assert (named.kind, named.account, named.where, named.items_source) == (kind, account, where, items)
    assert str(named) == name


@pytest.mark.parametrize(
    "account", ["a", "acme", "Acme-2", "acme.example", "a_b", "7", "a" * ACCOUNT_LENGTH_MAX]
)
def test_an_account_may_be_called_so(account: str) -> None:
    assert checked_account(account) == account


@pytest.mark.parametrize(
    "account",
    [
        "",
        " ",
        "a b",
        "a/b",
        "a@b",
        "a:b",
        "-a",
        "a-",
        ".",
        "ä",
        "a\n",
        "a\0",
        "a" * (ACCOUNT_LENGTH_MAX + 1),
        "a%",
    ],
)
def test_an_account_may_not_be_called_so_and_that_is_said(account: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of an account: take up to 64 letters"):
        checked_account(account)


def test_sources_are_called_by_their_account() -> None:
    attio, plain = AttioSource("key", account="acme"), AttioSource("key")
    assert (attio.name, attio.kind) == ("attio@acme", "attio@acme")
    assert (plain.name, plain.kind) == ("attio", "attio")
    agency = AxisCareSource("key", base_url="https://Agency.axiscare.com/", account="acme")
    assert (agency.name, agency.kind) == ("axiscare@acme:https://agency.axiscare.com", "axiscare@acme")
    with pytest.raises(ConfigurationError, match="cannot be the name of an account"):
        AttioSource("key", account="a/b")
