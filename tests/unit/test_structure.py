"""The shape of the code: sizes, the public door, what no file may hold."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import syncfsm
from syncfsm.cli import main
from syncfsm.core.events import EVENT_TYPES
from tests.mutation import explained

ROOT = Path(__file__).parents[2]
PACKAGES = ("syncfsm", "simulator/syncfsm_simulator")
FILES = sorted([*ROOT.glob("syncfsm/**/*.py"), *ROOT.glob("simulator/**/*.py")])
FILE_LINES_MAX = 320
FUNCTION_LINES_MAX = 60
CONFTEST_LINES_MAX = 120
TOP_NAMES_MAX = 28
DOORS = (
    "syncfsm",
    *(f"syncfsm.{room}" for room in ("engine", "explain", "history", "log", "report", "sinks", "sources")),
    *("syncfsm.sources.attio", "syncfsm.telemetry", "syncfsm.webhooks", "syncfsm.workers"),
    "syncfsm.workers.aws_lambda",
    "syncfsm_simulator",
)


def functions() -> Iterator[tuple[str, int]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{path.name}:{node.name}", node.end_lineno - node.lineno + 1


def test_files_are_short_and_say_what_they_are_for() -> None:
    assert len(FILES) > 40
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= FILE_LINES_MAX, path
        assert not text or ast.get_docstring(ast.parse(text)), path


def test_no_table_says_two_things_of_one_name() -> None:
    for path in [*FILES, *ROOT.glob("tests/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                keys = [ast.dump(key) for key in node.keys if key is not None]
                assert len(keys) == len(set(keys)), f"{path.name}, line {node.lineno}"


def test_functions_fit_a_glance() -> None:
    lengths = dict(functions())
    assert max(lengths.values()) <= FUNCTION_LINES_MAX, max(lengths, key=lambda name: lengths[name])
    assert sorted(lengths.values())[len(lengths) // 2] < 10


def test_conftests_are_no_frameworks() -> None:
    for path in ROOT.glob("tests/**/conftest.py"):
        assert len(path.read_text().splitlines()) <= CONFTEST_LINES_MAX, path


def in_order(names: list[str]) -> list[str]:
    """Return names as `__all__` has them: constants, classes, functions."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def explained_below(module: str, name: str) -> bool:
    """Return whether a text stands below a value where it is defined, wherever it was imported from."""
    tree = ast.parse(Path(str(import_module(module).__file__)).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return explained_below(str(node.module), name)
    for value, text in pairwise(tree.body):
        if isinstance(value, ast.Assign | ast.AnnAssign) and name in ast.unparse(value).partition("=")[0]:
            return isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    return False


def test_the_names_at_the_top_are_what_embedding_takes_and_few() -> None:
    assert len(syncfsm.__all__) <= TOP_NAMES_MAX


@pytest.mark.parametrize("door", DOORS)
def test_the_public_names_are_sorted_documented_and_all_there_are(door: str) -> None:
    package = import_module(door)
    assert package.__all__ == in_order(package.__all__)
    for name in package.__all__:
        value = getattr(package, name)
        is_defined = inspect.isclass(value) or inspect.isfunction(value)
        assert value.__doc__ if is_defined else explained_below(door, name), name


def test_every_event_and_every_command_is_in_the_docs() -> None:
    events = (ROOT / "docs/reference.md").read_text()
    commands = (ROOT / "docs/cli.md").read_text()
    assert all(name in events for name in EVENT_TYPES)
    assert all(f"## syncfsm {name}" in commands for name in main.list_commands(None))  # type: ignore[arg-type]


def test_the_picture_of_the_rooms_has_all_that_there_are() -> None:
    drawn = re.findall(
        r"^\| (syncfsm\w*)\.(\w+) \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    rooms = {
        (path.parts[-3], path.parts[-2])
        for package in PACKAGES
        for path in ROOT.glob(f"{package}/*/__init__.py")
    }
    assert rooms <= set(drawn)


def test_every_step_of_the_walk_leads_to_what_it_names() -> None:
    walk = re.findall(
        r"\[`(?:\w+\.)?(\w+)`\]\(\.\./([\w/.]+\.py)\)", (ROOT / "docs/architecture.md").read_text()
    )
    assert len(walk) > 20
    for name, place in walk:
        text = (ROOT / place).read_text()
        assert re.search(rf"(?:def|class) {name}\b|^{name}\b", text, re.MULTILINE), f"{name} in {place}"


def test_importing_syncfsm_loads_no_client_and_no_simulator() -> None:
    code = "import sys, syncfsm.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "syncfsm.engine.engine" in loaded
    assert not {"httpx", "sqlite_utils", "rich", "structlog", "transitions", "syncfsm_simulator"} & set(
        loaded
    )


def test_a_sync_loads_nothing_for_lines_that_it_does_not_write() -> None:
    code = (
        "import sys, syncfsm.cli.sync; from syncfsm.cli.shared.running import Show; "
        "Show((), verbose=False, is_live=False); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "syncfsm.cli.sync" in loaded.split()
    assert not {"rich", "structlog", "httpx"} & set(loaded.split())


def test_no_command_imports_another_and_what_they_share_imports_none() -> None:
    commands = [
        path for path in FILES if "cli" in path.parts and path.name not in {"__init__.py", "group.py"}
    ]
    assert len(commands) > 40
    for path in commands:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("syncfsm.cli."):
                assert node.module.startswith("syncfsm.cli.shared."), f"{path.name}, line {node.lineno}"


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_over(word: str) -> None:
    left = [path for path in FILES if re.search(rf"\b{word}\b", path.read_text())]
    assert left == []


def test_every_mutant_that_the_docs_explain_changes_lines_that_are_in_the_code() -> None:
    mutants = explained((ROOT / "docs/mutation.md").read_text())
    assert mutants
    for mutant in mutants:
        source = (ROOT / mutant.place.partition(":")[0]).read_text().splitlines()
        assert {line[1:] for line in mutant.lines if line[0] == "-"} <= set(source), mutant.place
