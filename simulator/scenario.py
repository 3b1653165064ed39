"""A scenario: everything that decides a simulation but the seed. TOML in, TOML out."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from simulator.changes import ChangeRates
from simulator.faults import Rates
from syncfsm.errors import ConfigurationError
from syncfsm.events import Order

BAD_DAY = Rates(
    rate_limited=0.03,
    unavailable=0.01,
    refused=0.005,
    timeout=0.005,
    reset=0.01,
    truncated=0.005,
    slow=0.02,
    crash=0.005,
)
"""What goes wrong where a scenario does not say: more than in most weeks, all of it survivable."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One situation to run a sync in.

    Attributes:
        people: People in the workspace at the start.
        page_size: Records in a page.
        order: Which come first.
        latency_ms: The least and the most that an answer takes.
        reads_per_s: The rate limit of the API.
        faults: How often what goes wrong.
        changes: How the people move meanwhile.
        faulty_s: How long faults and changes last; then everything must finish, without faults.
        finish_s_max: Within how long. Both in virtual seconds.
    """

    people: int = 5000
    page_size: int = 50
    order: Order = "newest"
    latency_ms: tuple[int, int] = (80, 400)
    reads_per_s: int = 100
    faults: Rates = BAD_DAY
    changes: ChangeRates = ChangeRates(created=0.3, updated=1.0, deleted=0.7)
    faulty_s: float = 1800.0
    finish_s_max: float = 3600.0


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario from a TOML file.

    Raises:
        ConfigurationError: The file is missing, no TOML, or says something a scenario does not have.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return msgspec.convert(content, Scenario)
    except OSError as error:
        raise ConfigurationError(f"the scenario {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"the scenario {path} cannot be used: {error}") from error
