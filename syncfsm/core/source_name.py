"""What a source is called: its kind, the account whose records it reads, and where its API is. Pure.

    attio                          one workspace, where Attio usually is
    attio@acme                     the workspace of the account `acme`
    attio@acme:https://proxy.test  the same, by another way

An *account* is one workspace of one source, with its key. Its name is chosen by whoever embeds syncfsm; it
tells apart, in one log and one sink, what keys alone cannot.
"""

from __future__ import annotations

import re
from typing import Self

from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError

ACCOUNT_LENGTH_MAX = 64

_ACCOUNT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class SourceName(Value, frozen=True):
    """The name of a source, in its parts.

    Attributes:
        kind: What opens it: `attio`.
        account: Whose records; empty where there is only one such account.
        where: The URL of its API, or what else stands for it; empty where it usually is.
    """

    kind: str
    account: str = ""
    where: str = ""

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the parts of a name."""
        begins, _, where = name.partition(":")
        kind, _, account = begins.partition("@")
        return cls(kind=kind, account=account, where=where)

    def __str__(self) -> str:
        """Return the name."""
        return f"{self.items_source}:{self.where}" if self.where else self.items_source

    @property
    def items_source(self) -> str:
        """What items call their source, so that those of two accounts never take each other's places."""
        return f"{self.kind}@{self.account}" if self.account else self.kind


def named_source(kind: str, account: str, where: str) -> SourceName:
    """Return the name of a source.

    Raises:
        ConfigurationError: The account cannot be called so.
    """
    return SourceName(kind=kind, account=checked_account(account) if account else "", where=where)


def account_of(source: str) -> str:
    """Return the account that a source is of, by its name; empty if it has none."""
    return SourceName.of(source).account


def checked_account(account: str) -> str:
    """Return the name of an account, if it can be one.

    Raises:
        ConfigurationError: It has characters that would not be told from the rest of a source's name.
    """
    if len(account) > ACCOUNT_LENGTH_MAX or not _ACCOUNT.fullmatch(account):
        raise ConfigurationError(
            f"{account!r} cannot be the name of an account: take up to {ACCOUNT_LENGTH_MAX} letters and "
            "digits, with dots, hyphens and underscores between them"
        )
    return account
