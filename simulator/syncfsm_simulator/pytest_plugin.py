"""Fixtures for the tests of somebody who embeds syncfsm: a fake Attio, its faults, and virtual time.

pytest loads this by its entry point wherever syncfsm is installed, so nothing is imported before a fixture is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from syncfsm_simulator.workspace import VirtualTime, Workspace


def pytest_configure(config: pytest.Config) -> None:
    """Take looptime's own plugins away where pytest-asyncio is missing: there they fail every test."""
    plugins = config.pluginmanager
    if not plugins.has_plugin("asyncio"):
        for name in ("looptime_plugin", "looptime_timeproxies", "looptime_chronometers"):
            if plugins.has_plugin(name):
                plugins.unregister(name=name)


@pytest.fixture
def attio() -> Iterator[Workspace]:
    """A fake Attio workspace: its people, its URL, and what goes wrong when it is synced."""
    from syncfsm_simulator.workspace import Workspace  # noqa: PLC0415 - see above

    with Workspace() as workspace:
        yield workspace


@pytest.fixture
def virtual_time() -> VirtualTime:
    """Time that stands still while code runs and jumps when everybody waits."""
    from syncfsm_simulator.workspace import VirtualTime  # noqa: PLC0415 - see above

    return VirtualTime()
