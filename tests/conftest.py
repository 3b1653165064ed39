"""How many examples Hypothesis tries, and which worker runs what."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.effort import IS_THOROUGH

pytest_plugins = ["tests.postgres"]

settings.register_profile(
    "mutants",
    max_examples=15,
    derandomize=True,  # the same mutants survive each time
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a mutant is dead at the first example against it
    suppress_health_check=list(HealthCheck),  # slow is not dead
)
settings.register_profile(
    "thorough",
    max_examples=500,
    derandomize=False,  # in CI Hypothesis makes "the same examples each time" the default of all profiles
    print_blob=True,  # new examples each time are worth little where nobody can try them again
)
if IS_THOROUGH:
    settings.load_profile("thorough")


def pytest_collection_finish() -> None:
    """Don't look again and again through what stays: the tests themselves, and all that they import."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Keep the tests of a file together, for what they share; let a worker that has none left take others."""
    from xdist.scheduler import WorkStealingScheduling  # noqa: PLC0415 - there is an xdist if it asks

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None
