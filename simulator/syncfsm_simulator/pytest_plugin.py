"""Fixtures for the tests of somebody who embeds syncfsm: a fake Attio, its faults, and virtual time.

pytest loads this by its entry point wherever syncfsm is installed, so nothing of it or of the simulator is
imported before a fixture is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from syncfsm_simulator.workspace import VirtualTime, Workspace


class _OldName:
    """Has the simulator found by its name of old, where no project has one of that name."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Import syncfsm for whoever asks for that name; its own finder is asked next."""
        if fullname == "simulator":
            import_module("syncfsm")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Let `from simulator.workspace import Workspace` work on, in a conftest too: see `syncfsm.moved`."""
    sys.meta_path.append(_OldName())


def pytest_configure(config: pytest.Config) -> None:
    """Take looptime's own plugins away where pytest-asyncio is missing: there they fail every test.

    The simulator took its time from looptime once, and whoever upgrades has it still.
    """
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
