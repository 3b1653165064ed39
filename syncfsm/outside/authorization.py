"""The key that goes with each request.

A key is a text, or comes from a *provider*: a function, or coroutine function, that returns the key as it is
now. It is asked when a run begins, and once more where the API refuses what it gave: tokens of OAuth expire.
No key is shown or written anywhere.
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
        self._provider = None if isinstance(key, str) else key
        self._asking = asyncio.Lock()
        self._header: str | None = None
        self.secrets: tuple[str, ...] = ()
        if isinstance(key, str):
            self._header = self._checked(key)

    def forget(self) -> None:
        """Let a provider be asked again before the next request."""
        if self._provider is not None:
            self._header = None

    async def header(self) -> str | Failure:
        """Return what goes with a request now."""
        async with self._asking:
            if self._header is None:
                provided = await self._provided()
                if isinstance(provided, Failure):
                    return provided
                self._header = provided
            return self._header

    async def renewed(self, refused: str) -> str | Failure | None:
        """Return what may go with a request in the place of what was refused; null if there is nothing."""
        if self._provider is None:
            return None
        if self._header == refused:
            self.forget()
        header = await self.header()  # which another request, refused too, may have asked for by now
        return None if header == refused else header

    async def _provided(self) -> str | Failure:
        assert self._provider is not None, "a key that is given stays"
        try:
            key = self._provider()
            if inspect.isawaitable(key):
                key = await key
        except Exception as error:  # noqa: BLE001 - whatever it does, and perhaps it can be reached later
            words = raised_words(f"what provides the key for {self._service}", error)
            return Failure(kind=FailureKind.UNAVAILABLE, message=words)
        try:
            return self._checked(key)
        except ConfigurationError as error:
            return Failure(kind=FailureKind.UNAUTHORIZED, message=f"{error}.")

    def _checked(self, key: object) -> str:
        """Return the header for a key, if it can be sent, and remember what must not be shown."""
        if not isinstance(key, str) or not key.strip():
            raise ConfigurationError(self._missing)
        secret = key.strip()
        if not secret.isascii() or not secret.isprintable():
            raise ConfigurationError(f"the {self._service} key has characters that no key has: copy it again")
        self.secrets = tuple(dict.fromkeys((secret, *self.secrets)))[:SECRETS_MAX]
        return f"{self._scheme}{secret}"
