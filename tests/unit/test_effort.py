"""How much is tried where: in CI a plain run tries the same each time, and a thorough one never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TRIED = """
import json
from hypothesis import given, settings, strategies
import tests.conftest

tried, notes = [], []

@settings(max_examples=20)
@given(strategies.integers())
def try_some(number):
    tried.append(number)
    assert abs(number) < 2 or not fails

fails = False
try_some()
first = list(tried)
tried.clear()
try_some()
again = list(tried)
fails = True
try:
    try_some()
except AssertionError as error:
    notes = error.__notes__
print(json.dumps({"is_same": first == again, "notes": " ".join(notes)}))
"""


def tried_in_ci(**env: str) -> dict[str, Any]:
    """Return whether two runs of a property tried the same examples, and what was said of a failure."""
    plain = {name: value for name, value in os.environ.items() if name != "THOROUGH"}
    done = subprocess.run(
        [sys.executable, "-c", TRIED],
        cwd=Path(__file__).parents[2],
        env={**plain, "CI": "true", **env},
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_a_plain_run_in_ci_tries_the_same_examples_each_time() -> None:
    assert tried_in_ci()["is_same"]


def test_a_thorough_run_tries_new_examples_in_ci_too_and_says_how_to_try_a_failure_again() -> None:
    tried = tried_in_ci(THOROUGH="1")
    assert not tried["is_same"]
    assert "@reproduce_failure(" in tried["notes"]
