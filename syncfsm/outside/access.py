"""What a base URL must be before anything is sent: usable, and nothing secret in it."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from syncfsm.errors import ConfigurationError
from syncfsm.outside.authorization import Authorization
from syncfsm.outside.safe_words import holds


def checked_url(base_url: str, authorization: Authorization) -> str:
    """Return the URL if it can be asked; the messages do not repeat it, since it may hold a password.

    Raises:
        ConfigurationError: It is no URL of an API, or holds what is secret.
    """
    try:
        is_usable = httpx.URL(base_url).scheme in {"http", "https"} and bool(urlsplit(base_url).hostname)
        is_usable = is_usable and urlsplit(base_url).port != 0  # which raises where it is out of range
    except (httpx.InvalidURL, ValueError):
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            "the base URL is not a URL of an API: it must start with https:// or http://"
        )
    _refuse_secrets(base_url, authorization.secrets)
    return base_url


def _refuse_secrets(base_url: str, secrets: tuple[str, ...]) -> None:
    """Refuse a URL that could bring a secret into logs: it names the source in every one of them."""
    url = urlsplit(base_url)
    if "@" in url.netloc or "%" in url.netloc:
        raise ConfigurationError(
            "the base URL has a user, a password or a key before its host: leave that out; "
            "the key is given by itself"
        )
    if url.query or url.fragment or any(holds(base_url, secret) for secret in secrets):
        raise ConfigurationError("the base URL holds more than a host and a path, or the key: leave that out")
