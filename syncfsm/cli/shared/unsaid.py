"""What is not said again of what was said to a command: the password in the URL of a database.

Whoever has a log open calls it by its `path`, and so says no password. But an error may quote what it is
about, and that may be a URL in the wrong place: of a process, of a number, of a command that there is not. So
the words of every error go through here, the one door that they have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from json import dumps

import click

from syncfsm.cli.shared.naming import PREFIX
from syncfsm.errors import ConfigurationError
from syncfsm.log import log_name

UNREADABLE = "postgresql://…"
"""What is shown of a URL that cannot be taken apart: what makes it so may be the password."""

_OURS = {UNREADABLE, "postgresql://USER:PASSWORD@HOST:PORT/DATABASE", "postgresql://HOST/DATABASE"}
"""What messages say themselves."""

_ARGS = "syncfsm.unsaid.args"
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?:(?=\S)", re.IGNORECASE)
_IN_WORDS = re.compile(rf"{_SCHEME.pattern}[^\s'\"`]+", re.IGNORECASE)
_ENDS = ".,;:)]}"
"""What a sentence puts behind a URL."""


@contextmanager
def nothing_unsaid(ctx: click.Context | None, args: Iterable[str] = ()) -> Iterator[None]:
    """Let what click says of wrong use repeat no password of the arguments."""
    try:
        yield
    except click.ClickException as error:
        words = without_passwords(error.message, said(ctx) if ctx else args)
        error.message = words  # type: ignore[misc]  # final, but what it says has no other place
        raise


def remember(ctx: click.Context, args: Iterable[str]) -> None:
    """Remember the arguments, as they were given."""
    ctx.meta[_ARGS] = tuple(args)


def said(ctx: click.Context) -> list[str]:
    """Return what was said to a command, by arguments and by variables."""
    variables = (value for name, value in os.environ.items() if name.startswith(f"{PREFIX}_"))
    return [*ctx.meta.get(_ARGS, ()), *variables]


def without_passwords(words: str, said: Iterable[str] = ()) -> str:
    """Return words in which each URL of PostgreSQL is only what may be shown of it.

    Args:
        words: What is to be printed.
        said: What they may quote; so a URL is known as a whole, whatever is in it.
    """
    for text in said:
        if found := _SCHEME.search(text):
            url = text[found.start() :]
            for form in (url, repr(url)[1:-1], dumps(url)[1:-1]):
                words = words.replace(form, _name(url))
    return _IN_WORDS.sub(_shown, words)


def _shown(found: re.Match[str]) -> str:
    url = found[0].rstrip(_ENDS)
    return found[0] if url in _OURS or url.endswith("://") else _name(url) + found[0][len(url) :]


def _name(url: str) -> str:
    try:
        return log_name(url) if "+" not in url.partition(":")[0] else UNREADABLE
    except ConfigurationError:
        return UNREADABLE
