"""Which process a name means, and what is said where it means none or several."""

from __future__ import annotations

import pytest

from syncfsm.errors import ProcessNotFound
from syncfsm.history.replay import choose

IDS = [f"id-{number:02}" for number in range(1, 21)]


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        (
            "nosuch",
            "no process begins with 'nosuch'; the latest are: id-16, id-17, id-18, id-19, id-20 and 15 more",
        ),
        ("id-1", "10 processes begin with 'id-1': id-15, id-16, id-17, id-18, id-19 and 5 more"),
        ("id-0", "9 processes begin with 'id-0': id-05, id-06, id-07, id-08, id-09 and 4 more"),
    ],
)
def test_of_many_processes_the_last_few_are_named_and_the_others_counted(prefix: str, words: str) -> None:
    with pytest.raises(ProcessNotFound) as refused:
        choose(IDS, prefix)
    assert str(refused.value) == words


def test_a_few_processes_are_all_named() -> None:
    with pytest.raises(ProcessNotFound, match=r"the latest are: id-01, id-02, id-03, id-04, id-05$"):
        choose(IDS[:5], "nosuch")
