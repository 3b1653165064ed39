"""The key that goes with each request.

A key is a text, or comes from a *provider*: a function, or coroutine function, that returns the key as it is
now. It is asked when a run begins, and once more where the API refuses what it gave: tokens of OAuth expire.
Requests that need a key at the same time wait for one answer. No key is shown or written anywhere.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.outside.safe_words import raised_words

KeyProvider: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns a key, or a promise of one."""

Key: TypeAlias = str | KeyProvider

PROVIDER_S_MAX = 30.0
"""How long a provider may take; then it is as one that cannot be reached."""

SECRETS_MAX = 8
"""The most keys of one client that are remembered, to be taken out of answers."""


class Authorization:
    """What goes with each request as its header `Authorization`.

    Args:
        service: The API's name, for messages.
        key: The key, or who provides it.
        missing: What to say where there is no key.
        scheme: What stands before the key: `Bearer`; nothing if empty.

    Raises:
        ConfigurationError: The key is empty, or has characters that no key has.
    """

    def __init__(self, service: str, key: Key, *, missing: str = "", scheme: str = "") -> None:
        self._service = service
        self._missing = missing or f"there is no key for {service}"
        self._scheme = f"{scheme} " if scheme else ""
        self._asking = asyncio.Lock()
        self._asked = 0
        self._refused: str | None = None
        self.secrets: tuple[str, ...] = ()
        self._provider = None if isinstance(key, str) else key
        self._answer: str | Failure | None = self._checked(key) if isinstance(key, str) else None

    def forget(self) -> None:
        """Let a provider be asked again before the next request, and once more if that is refused."""
        self._refused = None
        if self._provider is not None:
            self._answer = None

    async def header(self) -> str | Failure:
        """Return what goes with a request now."""
        asked = self._asked
        async with self._asking:
            has_failed = isinstance(self._answer, Failure) and self._asked == asked  # and not just now
            if self._answer is None or has_failed:
                self._answer = await self._provided()
                self._asked += 1
            return self._answer

    async def renewed(self, refused: str) -> str | Failure | None:
        """Return what may go with a request in the place of what was refused; null if there is nothing."""
        if self._provider is None:
            return None
        if self._answer == refused:
            if self._refused == refused:  # it was asked once more, and had nothing else
                return None
            self._refused, self._answer = refused, None
        header = await self.header()  # which another request, refused too, may have asked for by now
        return None if header == refused else header

    async def _provided(self) -> str | Failure:
        assert self._provider is not None, "a key that is given stays"
        who = f"what provides the key for {self._service}"
        try:
            async with asyncio.timeout(PROVIDER_S_MAX) as limit:
                key = self._provider()
                if inspect.isawaitable(key):
                    key = await key
        except Exception as error:  # noqa: BLE001 - whatever it does, and perhaps it can be reached later
            if limit.expired():
                words = f"{who} did not answer within {PROVIDER_S_MAX:g} s."
                return Failure(kind=FailureKind.TIMEOUT, message=words)
            return Failure(kind=FailureKind.UNAVAILABLE, message=raised_words(who, error))
        try:
            return self._checked(key)
        except ConfigurationError:
            words = f"{who} returned none: no text, an empty one, or one with characters that no key has."
            return Failure(kind=FailureKind.UNAUTHORIZED, message=words)

    def _checked(self, key: object) -> str:
        """Return the header for a key, if it can be sent, and remember what must not be shown."""
        if not isinstance(key, str) or not key.strip():
            raise ConfigurationError(self._missing)
        secret = key.strip()
        if not secret.isascii() or not secret.isprintable():
            raise ConfigurationError(f"the {self._service} key has characters that no key has: copy it again")
        self.secrets = tuple(dict.fromkeys((secret, *self.secrets)))[:SECRETS_MAX]
        return f"{self._scheme}{secret}"
