"""Old names work for one version more: they give the very same thing, and say where it is now."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import syncfsm
from syncfsm.engine import Engine
from syncfsm.moved import MODULES, NAMES, RENAMED
from syncfsm.sources.attio import AttioSource
from syncfsm_simulator import FakeAttio

ROOT = Path(__file__).parents[2]

EVERY_OLD_IMPORT = """
import sys, warnings
from importlib import import_module
import syncfsm
from syncfsm.moved import MODULES, RENAMED

sys.path = [place for place in sys.path if place not in {"ROOT", ""}]  # its folder is a `simulator` too
warnings.simplefilter("always")
for old, new in MODULES.items():
    module = import_module(new)
    own = module.__spec__, module.__name__
    with warnings.catch_warnings(record=True) as caught:
        exec(f"import {old}", {})
    (warning,) = caught
    assert issubclass(warning.category, DeprecationWarning), old
    assert f"{old} is {new} now" in str(warning.message), old
    assert warning.filename == "<string>", (old, warning.filename)
    assert old in RENAMED or sys.modules[old] is module, old
    assert (module.__spec__, module.__name__) == own, old
from simulator.attio import FakeAttio, Knobs
from syncfsm.log.rehearsal import RehearsedLog
import syncfsm_simulator
assert FakeAttio is syncfsm_simulator.FakeAttio
assert Knobs is syncfsm_simulator.Knobs
assert RehearsedLog is syncfsm.log.open_dry_run
print(len(MODULES), "modules")
"""


def test_every_old_module_is_the_new_one_and_says_so() -> None:
    code = EVERY_OLD_IMPORT.replace("ROOT", str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == f"{len(MODULES)} modules\n", done.stderr


@pytest.mark.parametrize("old", NAMES)
def test_every_old_name_is_what_the_new_one_is_and_says_so(old: str) -> None:
    package, _, name = old.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{old} is {NAMES[old]}.{name} now") as caught:
        found = getattr(import_module(package), name)
    assert found is getattr(import_module(NAMES[old]), name)
    assert caught[0].filename == __file__


def test_old_places_that_are_packages_now_still_have_what_was_there() -> None:
    assert (Engine, AttioSource) == (syncfsm.Engine, syncfsm.AttioSource)


def test_a_module_that_was_there_by_itself_is_still_an_attribute() -> None:
    with pytest.warns(DeprecationWarning, match=r"syncfsm\.options is syncfsm\.core\.options now"):
        assert syncfsm.options.Options is syncfsm.Options  # type: ignore[attr-defined]


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Earthquake'"):
        syncfsm.Earthquake  # type: ignore[attr-defined]  # noqa: B018
    assert find_spec("syncfsm.earthquake") is None


def test_nothing_of_ours_is_found_in_a_simulator_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = types.ModuleType("simulator")
    theirs.__path__ = []
    monkeypatch.setitem(sys.modules, "simulator", theirs)
    assert [old for old in MODULES if old.startswith("simulator.") and find_spec(old)] == []


def test_shells_are_only_what_could_not_be_the_module_itself() -> None:
    for old, renamed in RENAMED.items():
        module = import_module(MODULES[old])
        assert hasattr(module, "__path__") or renamed
        assert all(hasattr(module, new) for new in renamed.values())


def test_the_simulators_door_opens_what_it_names() -> None:
    assert FakeAttio is import_module("syncfsm_simulator.fakes.attio").FakeAttio
