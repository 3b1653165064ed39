"""What is installed: the wheel, built for real, beside a project that has a `simulator` of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"syncfsm": ROOT / "syncfsm", "syncfsm_simulator": ROOT / "simulator/syncfsm_simulator"}
SDIST = {
    *("syncfsm", "simulator", "tests", "benchmarks", "docs", "findings"),
    *("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "PKG-INFO", ".gitignore"),
}

Tests = Callable[[dict[str, str]], str]

OWN = {
    "simulator/__init__.py": "WHOSE = 'theirs'\n",
    "simulator/pytest_plugin.py": "import pytest\n\n@pytest.fixture\ndef whose():\n    return 'theirs'\n",
    "conftest.py": "from simulator.pytest_plugin import whose\n",
    "test_1_own.py": """
import sys
import simulator

def test_it_is_their_own(whose):
    assert simulator.WHOSE == whose == "theirs"

def test_nothing_of_ours_is_loaded_but_the_plugin():
    ours = {name for name in sys.modules if name.startswith("syncfsm")}
    assert ours == {"syncfsm_simulator", "syncfsm_simulator.pytest_plugin"}
""",
    "test_2_fixtures.py": """
import sys
import pytest

class Everybody:
    name = "everybody"
    def __init__(self):
        self.ids = set()
    async def check(self):
        return {}
    async def upsert(self, items):
        from syncfsm.sinks import UpsertResult
        self.ids |= {item.external_id for item in items}
        return UpsertResult(created=len(items))
    async def finish(self):
        return None
    async def aclose(self):
        pass

def test_the_wheel_is_what_is_used():
    import syncfsm, syncfsm_simulator
    assert syncfsm.__file__.startswith(sys.prefix)
    assert syncfsm_simulator.__file__.startswith(sys.prefix)

def test_a_workspace(attio):
    sink = Everybody()
    assert attio.configure(people=30).sync(sink).state == "COMPLETED"
    assert sink.ids == attio.survivors and len(sink.ids) == 30

def test_time(virtual_time):
    virtual_time.run(virtual_time.clock.sleep(86_400))

def test_a_module_that_they_do_not_have_is_not_one_of_ours():
    import syncfsm
    with pytest.raises(ModuleNotFoundError, match="No module named 'simulator.workspace'"):
        import simulator.workspace
""",
}

STILL_OLD = {
    "conftest.py": """
import pytest

with pytest.warns(DeprecationWarning, match="simulator.workspace is syncfsm_simulator.workspace now"):
    from simulator.workspace import Workspace
""",
    "test_old.py": """
from conftest import Workspace

def test_an_old_name_is_the_very_same(attio):
    assert type(attio) is Workspace
""",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the wheel and the source distribution are."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the wheel is installed, and all else is that of ours.

    Where ours are comes last, and only once the wheel is in: what is installed here is never looked at.
    """
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder)
    interpreter = folder / "bin/python"
    (wheel,) = built.glob("*.whl")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", *options, wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


@pytest.fixture
def tests_of(python: Path, tmp_path: Path) -> Tests:
    """Write a project and run its tests; return what pytest prints."""

    def tests_of(project: dict[str, str]) -> str:
        for name, text in project.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        command = (python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
        return run(*command, cwd=tmp_path)

    return tests_of


def run(*command: str | Path, cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def modules() -> set[str]:
    """Return every file of the two packages, as it is called where it is installed."""
    return {
        str(Path(package) / path.relative_to(folder))
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_two_packages_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = {name for name in ZipFile(wheel).namelist() if not name.startswith("syncfsm-0.1.0.dist-info/")}
    assert {name.partition("/")[0] for name in names} == PACKAGES.keys()
    assert names == modules()


def test_the_source_distribution_has_what_the_wheel_and_the_tests_are_made_of(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name.partition("/")[0] for name in names} == SDIST
    assert {str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/*.py")} <= names
    sources = {name.replace("syncfsm_simulator/", "simulator/syncfsm_simulator/") for name in modules()}
    assert sources <= names


def test_a_project_with_a_simulator_of_its_own_gets_its_own(
    tests_of: Tests,
) -> None:
    assert "6 passed" in tests_of(OWN)


def test_a_project_that_calls_ours_by_its_old_name_gets_it_with_a_word(
    tests_of: Tests,
) -> None:
    assert "1 passed" in tests_of(STILL_OLD)
