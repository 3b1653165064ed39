"""What may be repeated of what somebody outside says, and what never is. Pure.

A server's message may quote a person's e-mail, or the key it was sent. So no sentence from outside gets
into an event, an error or a line on the terminal: only codes and slugs, which are short words, do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from traceback import extract_tb
from urllib.parse import quote, unquote

REDACTED = "[redacted]"

WORD_LENGTH_MAX = 40

SECRET_LENGTH_MIN = 16
"""Shorter secrets, such as `any` for a fake, are parts of common words; taking them out would spoil data."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, its colours or the direction of its lines, and what is no text at all."""

_WORD = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_NUMBER = re.compile(r"\d{5}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def printable(text: str) -> str:
    r"""Return a text for one line of a terminal: control characters as Python writes them, such as `\x1b`."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def word(text: object) -> str:
    """Return a code or slug such as `filter_error`, or nothing if it is anything else.

    A name with a capital, an e-mail address, a phone number and a key are no words.
    """
    if not isinstance(text, str) or len(text) > WORD_LENGTH_MAX or _NUMBER.search(text):
        return ""
    return text if _WORD.fullmatch(text) else ""


def raised_where(error: BaseException) -> str:
    """Return what kind of error it is, and where it was raised: `KeyError in mapping.py, line 12`.

    What it says is left out, since a key or a person may be in it.
    """
    place = extract_tb(error.__traceback__)[-1]
    module = f" ({error.name})" if isinstance(error, ImportError) and error.name else ""
    return f"{type(error).__name__}{module} in {Path(place.filename).name}, line {place.lineno}"


def raised_words(whose: str, error: BaseException) -> str:
    """Return a sentence that says so of code that was plugged in."""
    said = "what the error says is left out, since it may quote a person"
    return f"{whose} raised {raised_where(error)}; {said}."


def plain_url(url: str) -> str:
    """Return a base URL in the one way of writing that names a source: `HTTP://Host/` is `http://host`."""
    scheme, separator, rest = url.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}"


def passwords(url: str) -> tuple[str, ...]:
    """Return the passwords that stand in a URL, as they are written and as they are meant."""
    credentials = url.partition("://")[2].partition("@")[0].partition(":")[2]
    asked = [pair.partition("=") for pair in url.partition("?")[2].split("&")]
    written = [credentials, *(value for key, _, value in asked if "password" in key)]
    return tuple(dict.fromkeys(form for text in written if text for form in (text, unquote(text))))


def uuid(text: str) -> str:
    """Return an id, or nothing if it is anything but a UUID."""
    return text if _UUID.fullmatch(text) else ""


def forms(secret: str) -> frozenset[str]:
    """Return a secret as it may stand in a text: plain, in a URL, in JSON; none if it is too short."""
    if len(secret) < SECRET_LENGTH_MIN:
        return frozenset()
    return frozenset({secret, quote(secret, safe=""), json.dumps(secret)[1:-1]})


def holds(text: str, secret: str) -> bool:
    """Whether a secret stands in a text."""
    return any(form in text for form in forms(secret))


def without(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body with the secrets taken out."""
    for form in (form for secret in secrets for form in forms(secret)):
        if form.encode() in body:
            body = body.replace(form.encode(), REDACTED.encode())
    return body
