"""Deletions in Quo, and telling what Quo has: against the fake Quo, on good days and bad ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.quo import api
from syncfsm_simulator.fakes.quo.contacts import Contact as Kept
from syncfsm_simulator.stage.port import Crash
from tests.contracts.sink import ADA, NOBODY, delete, known, run, upsert
from tests.integration.test_quo_sink import ONE, intercepted, people, refused
from tests.quo import Quo


def ids(first: int, count: int) -> list[str]:
    return [f"p{index}" for index in range(first, first + count)]


def quo_with(count: int, **settings: Any) -> Quo:
    """Return a Quo that has had so many people for a while."""
    quo = Quo(**settings)
    upsert(quo.sink(), *people(count))
    run(quo.clock.sleep(100))
    return quo


def failing(quo: Quo, record: Callable[[int], httpx.Response | None]) -> list[int]:
    """Answer the n-th DELETE as `record` says, after Quo has done it; return how many there were."""
    door, seen = intercepted(quo), [0]

    def after(request: httpx.Request) -> httpx.Response | None:
        seen[0] += request.method == "DELETE"
        return record(seen[0]) if request.method == "DELETE" else None

    door.after = after
    return seen


def copy_of(quo: Quo, whom: str, id_: str, **change: Any) -> Kept:
    """Put a copy of a contact into Quo, as only somebody in Quo could make it."""
    contacts = quo.fake.contacts
    (there,) = (one for one in contacts.by_id.values() if one.external_id == whom)
    contacts.by_id[id_] = replace(there, id=id_, **change)
    return contacts.by_id[id_]


# ── deleting ─────────────────────────────────────────────────────────────────────────────────


def test_ids_are_looked_up_twenty_a_request_and_each_contact_is_deleted_by_itself() -> None:
    quo = quo_with(70)
    looked_up = quo.count("GET", 200)
    assert delete(quo.sink(), "attio", *ids(0, 60)) == 60
    assert (quo.count("GET", 200) - looked_up, quo.count("DELETE", 204, ONE)) == (3, 60)
    assert quo.fake.requests.total() == 70 + 60 + quo.count("GET", 200), "nothing was refused or asked twice"
    assert {contact.external_id for contact in quo.stored()} == set(ids(60, 10))


def test_all_contacts_with_the_id_are_deleted_and_count_as_one() -> None:
    quo = quo_with(2)
    copy_of(quo, "p0", "copy")
    by_id = quo.fake.contacts.by_id
    quo.fake.contacts.listed = lambda *_asked: list(by_id.values())  # type: ignore[method-assign]
    assert delete(quo.sink(), "attio", "p0") == 1
    assert [contact.external_id for contact in by_id.values()] == ["p1"]


def test_what_a_look_up_shows_beside_what_was_asked_for_stays() -> None:
    quo = quo_with(3)
    copy_of(quo, "p1", "other", external_id="p0", source="hubspot")
    copy_of(quo, "p1", "made in Quo", external_id=None, source=None)
    by_id = quo.fake.contacts.by_id
    quo.fake.contacts.listed = lambda *_asked: list(by_id.values())  # type: ignore[method-assign]
    assert delete(quo.sink(), "attio", "p0", "unknown") == 1
    assert len(by_id) == 4
    assert {"other", "made in Quo"} <= by_id.keys()


def test_an_id_that_quo_cannot_have_is_not_asked_for() -> None:
    quo = quo_with(1)
    assert delete(quo.sink(), "attio", "", "x" * 76, "p0") == 1
    assert quo.count("GET", 400) == 0


def test_whom_somebody_else_deletes_meanwhile_is_gone_and_not_counted() -> None:
    quo = quo_with(3)
    door = intercepted(quo)

    def first(request: httpx.Request) -> None:
        if request.method == "DELETE":
            quo.fake.contacts.by_id.pop(request.url.path.rpartition("/")[2], None)

    door.before = first
    assert delete(quo.sink(), "attio", *ids(0, 3)) == 0
    assert (quo.count("DELETE", 404, ONE), quo.stored()) == (3, set())


# ── trying again ─────────────────────────────────────────────────────────────────────────────


def test_a_deletion_whose_answer_never_came_is_done_again_and_counted_once() -> None:
    quo = quo_with(50)
    seen = failing(quo, lambda number: refused(500) if number == 7 else None)
    sink = quo.sink()
    failure = run(sink.delete("attio", ids(0, 50)))
    assert isinstance(failure, Failure)
    assert (failure.kind, quo.stored()) == (FailureKind.UNAVAILABLE, set())
    began = quo.clock.now()
    assert delete(sink, "attio", *ids(0, 50)) == 50
    assert (quo.clock.now() - began).total_seconds() < 10, "nobody waits for whom we have deleted"
    assert seen == [50]
    assert delete(sink, "attio", *ids(0, 50)) == 0


def test_a_429_lets_nothing_more_begin_and_the_next_try_does_the_rest_and_counts_all() -> None:
    quo = quo_with(100)
    door = intercepted(quo)
    left = [30]

    def limit(request: httpx.Request) -> httpx.Response | None:
        left[0] -= request.method == "DELETE"
        return refused(429) if left[0] < 0 else None

    door.before = limit
    sink = quo.sink()
    failure = run(sink.delete("attio", ids(0, 100)))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.RATE_LIMITED
    assert len(quo.stored()) == 70
    door.before = lambda _request: None
    assert delete(sink, "attio", *ids(0, 100)) == 100
    assert quo.count("DELETE", 204, ONE) == 100


def test_what_is_missing_is_the_same_at_each_try_so_that_all_of_it_is_counted() -> None:
    quo = quo_with(60)
    failing(quo, lambda number: refused(500) if number % 10 == 0 else None)
    sink = quo.sink()
    missing = known(sink, "attio") - set(ids(0, 20))
    assert isinstance(run(sink.delete("attio", sorted(missing))), Failure)
    assert len(quo.stored()) < 60
    assert known(sink, "attio") - set(ids(0, 20)) == missing
    assert delete(sink, "attio", *missing) == 40
    assert known(sink, "attio") == set(ids(0, 20))


def test_who_comes_again_between_two_tries_is_deleted_again() -> None:
    quo = quo_with(2)
    failing(quo, lambda number: refused(500) if number == 2 else None)
    sink = quo.sink()
    assert isinstance(run(sink.delete("attio", ids(0, 2))), Failure)
    assert upsert(sink, *people(2)) == UpsertResult(created=2)
    assert delete(sink, "attio", *ids(0, 2)) == 2
    assert quo.stored() == set()


def test_one_look_up_that_fails_keeps_nobody_else_from_being_deleted() -> None:
    quo = quo_with(60)
    door = intercepted(quo)
    bad = [True]
    door.before = lambda request: refused(500) if request.method == "GET" and bad and bad.pop() else None
    sink = quo.sink()
    assert isinstance(run(sink.delete("attio", ids(0, 60))), Failure)
    assert len(quo.stored()) == 20
    assert delete(sink, "attio", *ids(0, 60)) == 60


# ── what Quo does not show yet ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("settings", [{"seen_after_s": 20.0}, {"bulk_after_s": 30.0}])
def test_who_was_created_by_a_process_that_died_is_deleted_once_quo_shows_them(
    settings: dict[str, float],
) -> None:
    quo = Quo(**settings)
    door = intercepted(quo)
    dying = quo.sink(is_bulk="bulk_after_s" in settings)

    def die(request: httpx.Request) -> None:
        if request.method == "POST":
            raise Crash

    door.after = die
    with pytest.raises(Crash):
        run(dying.upsert([ADA]))
    door.after = lambda _request: None
    assert delete(quo.sink(), "attio", "a1") == 1
    run(quo.clock.sleep(100))
    assert known(quo.sink(), "attio") == set()


def test_whom_quo_never_had_is_waited_for_once_and_no_more_while_nothing_is_created() -> None:
    quo = quo_with(1)
    sink = quo.sink()
    slept = [quo.clock.slept_s]
    for what in (lambda: delete(sink, "attio", "x"), lambda: delete(sink, "attio", "y")):
        assert what() == 0
        slept.append(quo.clock.slept_s)
    assert slept[1] - slept[0] == 32
    assert slept[2] == slept[1]
    upsert(sink, NOBODY)
    assert delete(sink, "attio", "z", "n1") == 1
    assert quo.clock.slept_s - slept[2] == 32


# ── what Quo has ─────────────────────────────────────────────────────────────────────────────


def test_all_contacts_of_the_source_are_known_by_pages_of_fifty() -> None:
    quo = quo_with(120)
    upsert(quo.sink(), replace(ADA, source="hubspot"))
    looked_up = quo.count("GET", 200)
    assert known(quo.sink(), "attio") == set(ids(0, 120))
    assert quo.count("GET", 200) - looked_up == 3


def test_a_contact_without_an_external_id_is_not_ours() -> None:
    quo = quo_with(1)
    copy_of(quo, "p0", "made in Quo", external_id=None)
    copy_of(quo, "p0", "other", external_id="o1", source=None)
    by_id = quo.fake.contacts.by_id
    quo.fake.contacts.listed = lambda *_asked: list(by_id.values())  # type: ignore[method-assign]
    assert known(quo.sink(), "attio") == {"p0"}


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["50", "50"], "a page of contacts twice"),
        (["50", "60", "50"], "a page of contacts twice"),
        ([str(n) for n in range(1, 9)], "5 pages of contacts, and no last one"),
    ],
)
def test_pages_that_never_end_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, tokens: list[str], words: str
) -> None:
    monkeypatch.setattr(api, "ALL_PAGES_MAX", 5)
    quo = Quo()
    door, left = intercepted(quo), iter(tokens)
    door.before = lambda _request: httpx.Response(200, json={"data": [], "nextPageToken": next(left)})
    failure = run(quo.sink().known("attio"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MALFORMED
    assert words in failure.message


def test_a_page_that_fails_says_so_rather_than_that_nobody_else_is_there() -> None:
    quo = quo_with(120)
    door = intercepted(quo)
    door.before = lambda request: refused(500) if b"pageToken=100" in request.url.query else None
    assert isinstance(run(quo.sink().known("attio")), Failure)
