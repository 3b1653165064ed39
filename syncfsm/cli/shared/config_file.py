"""The settings file, `syncfsm.toml`: reading it, and saying where in it something is wrong.

At the top stand the settings of a sync, in a table named after a command that command's own, in
`[sources.NAME]` what is said of a source, and in `[accounts.NAME]` what is said of an account (accounts.py).
What a setting means is for the options of the commands to say (settings.py); this file knows only how it is
written down, and that no key may be.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from stat import S_ISREG
from typing import Any

import msgspec

from syncfsm.errors import ConfigurationError
from syncfsm.outside.safe_words import holds
from syncfsm.sinks.quo import api as quo
from syncfsm.sources import axiscare
from syncfsm.sources.attio import source as attio

FILE_NAME = "syncfsm.toml"
FILE_VARIABLE = "SYNCFSM_CONFIG"
SOURCES_TABLE = "sources"
FILE_BYTES_MAX = 1_000_000
NAMES_SHOWN_MAX = 30

KEY_VARIABLES = (attio.KEY_VARIABLE, axiscare.KEY_VARIABLE, quo.KEY_VARIABLE, quo.PARTNER_KEY_VARIABLE)
"""The variables from which syncfsm takes keys."""

_NAMES_A_VARIABLE = ("-variable", "_variable")

_KEY_ENDINGS = ("_API_KEY", "_PARTNER_KEY", "_WEBHOOK_SECRET")

_SECRET_WORDS = {
    "apikey", "auth", "authorization", "bearer", "credential", "credentials", "key", "keys", "passphrase",
    "passwd", "password", "pwd", "secret", "secrets", "token", "tokens",
}  # fmt: skip

Keys = tuple[str, ...]
"""The keys that lead to a value: `("sync", "page-size")`."""


class ConfigFile(msgspec.Struct, frozen=True):
    """What a settings file says.

    Attributes:
        name: The file, as it was named; empty if there is none.
        text: Its text.
        values: What it holds.
    """

    name: str = ""
    text: str = ""
    values: dict[str, Any] = {}

    def get(self, path: Keys) -> Any:
        """Return the value at a path, `None` where there is none."""
        return _at(self.values, path)

    def place(self, path: Keys) -> str:
        """Say where a value stands: `syncfsm.toml, line 3`."""
        line = _line_of(self.text, path)
        return f"{self.name}, line {line}" if line else self.name

    def refuse(self, path: Keys, words: str) -> ConfigurationError:
        """Return the error of a value, with its place."""
        return ConfigurationError(f"{self.place(path)}: {words}")

    def unknown(self, path: Keys, known: Iterable[str], what: str) -> ConfigurationError:
        """Return the error of a name that is none, with the nearest that is one."""
        return self.refuse(path, f"{path[-1]!r} is no {what}: {nearest(path[-1], known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which name was meant, or which there are."""
    plain = {_plain(one): one for one in known}
    close = get_close_matches(_plain(name), plain, n=1)
    if close:
        return f"the nearest is {plain[close[0]]}"
    names = list(plain.values())
    return f"there are {', '.join(names)}" if len(names) <= NAMES_SHOWN_MAX else "see docs/configuration.md"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def read_config(name: str | None) -> ConfigFile:
    """Read a settings file; by default `syncfsm.toml` in this folder, if it is there.

    Raises:
        ConfigurationError: It cannot be read, is no TOML, or holds a key or the name of one.
    """
    path = Path(name or FILE_NAME)
    if name is None and not path.exists():
        return ConfigFile()
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    file = ConfigFile(str(path), text, values)
    _refuse_secrets(file)
    return file


def _text(path: Path) -> str:
    try:
        if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for, with nobody to write into it
            raise ConfigurationError(f"the settings file {path} is no regular file: only such a one is read")
        with path.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise ConfigurationError(
                f"{path}: this is no file of settings, at more than {FILE_BYTES_MAX} bytes"
            )
        return content.decode()
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: a settings file is UTF-8, and this is not") from error


def looks_secret(name: str) -> bool:
    """Whether a setting's name is one of a secret: `api-key`, `attio_token`; that of a variable is none."""
    return not name.lower().endswith(_NAMES_A_VARIABLE) and not _SECRET_WORDS.isdisjoint(
        re.split(r"[^a-z]+", name.lower())
    )


def held_key(text: str) -> str | None:
    """Return the variable whose key a text holds, if there is one."""
    given = ((name, text) for name, text in os.environ.items() if is_key_variable(name))
    keys = (
        (name, key) for name, keys in given for key in map(str.strip, keys.split(","))
    )  # of webhooks, there are several
    return next((name for name, key in keys if holds(text, key)), None)


def is_key_variable(name: str) -> bool:
    """Whether a variable's name says that it holds a key."""
    return name.endswith(_KEY_ENDINGS)


def _refuse_secrets(file: ConfigFile) -> None:
    """Let no key stand in a file, which is copied, shown and kept where keys should not be."""
    for path, value in _leaves(file.values):
        if looks_secret(path[-1]):
            raise file.refuse(
                path, f"{path[-1]} may not stand in a file: set the variable {_variable_of(path)} instead"
            )
        if isinstance(value, str) and (variable := held_key(value)):
            raise file.refuse(path, f"this holds the key of {variable}: leave it to the variable")


def _variable_of(path: Keys) -> str:
    """Return the variable for a secret: that of an option, or that of the source or sink it names."""
    words = [word for part in path for word in re.split(r"[^A-Z0-9]+", part.upper())]
    if path[0] == "serve":
        return "_".join(("SYNCFSM", *words))
    shared = {name: len({*name.split("_")} & {*words} - {"API", "KEY"}) for name in KEY_VARIABLES}
    best = max(KEY_VARIABLES, key=lambda name: shared[name])
    return best if shared[best] else " or ".join(KEY_VARIABLES)


def _leaves(values: Any, path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield every value that is no table, with its path; those of a list with the path of the list."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(values, list):
        for value in values:
            yield from _leaves(value, path)
    else:
        yield path, values


def _at(values: Any, path: Keys) -> Any:
    """Return what is at a path; in a list, a key is a number from 0."""
    for key in path:
        if isinstance(values, list) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        elif isinstance(values, Mapping) and key in values:
            values = values[key]
        else:
            return None
    return values


def _line_of(text: str, path: Keys) -> int | None:
    """Return the line on which a value begins, from 1: where the lines before are TOML and do not have it."""
    lines = text.splitlines(keepends=True)
    begins = 1
    for count in range(1, len(lines) + 1):
        try:
            values = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if _at(values, path) is not None:
            return begins
        begins = count + 1
    return None
