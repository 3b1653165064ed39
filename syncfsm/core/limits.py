"""The limits of a sync that somebody may raise: their names, their ranges, how to say and how to read them.

A limit that ends a sync is named in its failure, with its value and the words that raise it:
`--set attempts_max=16`. The same words are read here, for a new sync and for one that goes on. The other
fields of `Options` are the rules of a source, and no business of who runs a sync. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from syncfsm.core.options import Options
from syncfsm.errors import ConfigurationError

_YEAR_S = 365 * 24 * 3600.0
_COUNT_MAX = 1_000_000_000

LIMITS: dict[str, tuple[float, float]] = {
    # name: least and most that it may be set to
    "attempts_max": (1, _COUNT_MAX),
    "backoff_s_base": (0, _YEAR_S),
    "wait_s_max": (0, _YEAR_S),
    "waiting_s_max": (0, _YEAR_S),
    "step_backs_max": (0, _COUNT_MAX),
    "stalled_rows_max": (0, _COUNT_MAX),
    "stalled_pages_max": (0, _COUNT_MAX),
    "reject_ratio_max": (0, 1),
    "reject_min": (0, _COUNT_MAX),
    "overlap_s": (0, _YEAR_S),
    "sweeps_max": (1, _COUNT_MAX),
    "missing_ratio_max": (0, 1),
    "blanked_ratio_max": (0, 1),
    "blanked_min": (0, _COUNT_MAX),
    "deletions_min": (0, _COUNT_MAX),
    "asks_max": (1, _COUNT_MAX),
    "singly_max": (0, _COUNT_MAX),
    "request_s_max": (1, _YEAR_S),
}


def with_limits(options: Options, settings: Iterable[str]) -> Options:
    """Return the options with limits set by words such as `attempts_max=20`; of one name the last counts.

    Raises:
        ConfigurationError: A name is no limit, or a value does not fit it; the message lists the names.
    """
    changed = replace(options, **dict(_read(setting) for setting in settings))
    check_limits(changed)
    return changed


SOURCE_RULES = ("pagination", "termination", "confirm_end", "limit_max")
"""The fields of `Options` that say how a source gives its pages."""


def check_rules(options: Options, rules: Options, whose: str) -> None:
    """Refuse options whose rules are not those that a source has, or a process began with.

    By other rules, its pages would seem to end where they do not.

    Args:
        options: What is asked for.
        rules: What there is.
        whose: How to call what has it, in the code that may be copied.

    Raises:
        ConfigurationError: A rule differs; the message shows how to change a limit alone.
    """
    for name in SOURCE_RULES:
        asked, has = getattr(options, name), getattr(rules, name)
        if asked != has:
            raise ConfigurationError(
                f"the options say {name}={asked!r}, and the rule here is {has!r}: only limits can be chosen, "
                f"such as options=msgspec.structs.replace({whose}.options, attempts_max=20)"
            )


def own_rules(options: Options | None, own: Options) -> Options:
    """Return the options that somebody gave to a source, or its own.

    Raises:
        ConfigurationError: They page in another way than the source does, or ask for more than it gives.
    """
    if options is None:
        return own
    if options.pagination != own.pagination or options.limit_max > own.limit_max:
        raise ConfigurationError(
            f"this source pages by pagination={own.pagination!r} and gives limit_max={own.limit_max}; "
            f"the options say {options.pagination!r} and {options.limit_max}: open it without options, and "
            "give the engine options=msgspec.structs.replace(source.options, attempts_max=20)"
        )
    return options


def check_limits(options: Options) -> None:
    """Refuse limits that cannot work, such as infinity, which no log could hold.

    Raises:
        ConfigurationError: A limit is out of its range.
    """
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(options, name) <= most:
            raise _misfit(name, getattr(options, name))


def _read(setting: str) -> tuple[str, float]:
    name, _, text = (part.strip() for part in setting.partition("="))
    if name not in LIMITS:
        raise ConfigurationError(f"{name!r} is no limit: give NAME=VALUE, with one of {', '.join(LIMITS)}")
    try:
        return name, msgspec.convert(text, _type(name), strict=False)
    except msgspec.ValidationError as error:
        raise _misfit(name, text) from error


def _type(name: str) -> type[float]:
    return type(getattr(Options(), name))


def _misfit(name: str, value: object) -> ConfigurationError:
    least, most = LIMITS[name]
    kind = "a whole number" if _type(name) is int else "a number"
    return ConfigurationError(
        f"{name}={value} cannot work: {name} is {kind} from {least:.0f} to {most:.0f}. "
        f"The limits are {', '.join(LIMITS)}"
    )


def advice(options: Options, name: str, needed: float = 0.0) -> str:
    """Return which limit was hit, its value, and how to raise it: to twice that, and to what is `needed`."""
    value: float = getattr(options, name)
    most = LIMITS[name][1]
    raised = min(most, max(2 * value, needed) or 1)
    return f"The limit {name} is {value:.12g}: to raise {name}, run again with --set {name}={raised:.12g}."


def advised(words: str) -> tuple[str, ...]:
    """Return the settings that `advice` named within some words: `("attempts_max=16",)`, or nothing."""
    return tuple(re.findall(r"--set (\w+=[\d.e+-]*\d)", words))
