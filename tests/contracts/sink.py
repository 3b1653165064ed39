"""What every sink must do. A sink's test module subclasses this and says how to open one and read it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncfsm.core.blanking import Blanking
from syncfsm.core.failure import Failure
from syncfsm.items.contact import FIELDS, Contact
from syncfsm.sinks import Mark, Marked, Sink, UpsertResult
from syncfsm.sinks.protocol import capabilities
from tests.effort import tries

T = TypeVar("T")

ADA = Contact(
    external_id="a1",
    source="attio",
    first_name="Ada",
    last_name='"Lovelace"',
    company="Ünïted\nBakeries",
    role="经理",
    phone_numbers=("+14155550132", "+442079460018"),
    emails=("ada@mail.example",),
    source_url="https://app.attio.example/a1",
)
NOBODY = Contact(external_id="n1", source="attio")
MARK = Mark(
    source="attio", object="people", process="p1", version=4, watermark=datetime(2026, 1, 1, tzinfo=UTC)
)

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
CONTACTS = st.builds(
    Contact,
    external_id=st.sampled_from("abcdef"),
    source=st.sampled_from(["attio", "hubspot"]),
    first_name=TEXT,
    company=TEXT,
    emails=st.lists(st.sampled_from(["x@a.example", "y@b.example"]), max_size=2).map(tuple),
)
PAGES = st.lists(CONTACTS, max_size=6, unique_by=lambda contact: (contact.external_id, contact.source))


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def upsert(sink: Sink[Contact], *contacts: Contact) -> UpsertResult:
    result = run(sink.upsert(contacts))
    assert isinstance(result, UpsertResult), result
    return result


def delete(sink: Sink[Contact], source: str, *record_ids: str) -> int:
    able = capabilities(sink).deleting
    if able is None:
        pytest.skip("the sink cannot delete")
    deleted = run(able.delete(source, record_ids))
    assert not isinstance(deleted, Failure), deleted
    return deleted


def known(sink: Sink[Contact], source: str) -> frozenset[str]:
    able = capabilities(sink).enumerable
    if able is None:
        pytest.skip("the sink cannot tell what it has")
    found = run(able.known(source))
    assert not isinstance(found, Failure), found
    return found


def marked(sink: Sink[Contact]) -> Marked[Contact]:
    able = capabilities(sink).marked
    if able is None:
        pytest.skip("the sink does not know itself")
    return able


class SinkContract:
    """Subclass it with fixtures `sink` and `stored` (a function that reads all contacts back)."""

    shows_at_once = True
    """Whether it can tell of a contact what is in it as soon as it has it."""

    def test_new_contacts_are_created_and_read_back_as_they_were(self, sink, stored) -> None:
        assert upsert(sink, ADA, NOBODY) == UpsertResult(created=2)
        assert stored() == {ADA, NOBODY}

    def test_the_same_contacts_again_change_nothing(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        assert upsert(sink, NOBODY, ADA) == UpsertResult(unchanged=2)
        assert stored() == {ADA, NOBODY}

    def test_a_changed_contact_is_updated_and_the_rest_left(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        countess = replace(ADA, role="Countess", emails=())
        assert upsert(sink, countess, NOBODY) == UpsertResult(updated=1, unchanged=1)
        assert stored() == {countess, NOBODY}

    def test_contacts_of_two_sources_with_one_id_stay_apart(self, sink, stored) -> None:
        other = replace(ADA, source="hubspot")
        assert upsert(sink, ADA, other) == UpsertResult(created=2)
        assert stored() == {ADA, other}

    def test_no_contacts_are_no_trouble(self, sink, stored) -> None:
        assert upsert(sink) == UpsertResult()
        assert stored() == set()

    def test_checking_and_finishing_an_empty_sink_is_fine(self, sink, stored) -> None:
        assert not isinstance(run(sink.check()), Failure)
        assert run(sink.finish()) is None
        assert stored() == set()

    def test_a_closed_sink_opens_again_and_knows_what_it_had(self, sink, stored) -> None:
        upsert(sink, ADA)
        run(sink.finish())
        run(sink.aclose())
        run(sink.aclose())
        assert upsert(sink, ADA, NOBODY) == UpsertResult(created=1, unchanged=1)
        assert stored() == {ADA, NOBODY}

    @pytest.mark.parametrize("name", FIELDS)
    def test_what_is_unknown_of_a_contact_stays_as_it_was(self, sink, stored, name: str) -> None:
        upsert(sink, ADA, NOBODY)
        empty = getattr(NOBODY, name)
        unknown = replace(ADA, **{name: empty}, unknown=frozenset({name}))
        assert upsert(sink, unknown, NOBODY) == UpsertResult(unchanged=2)
        assert stored() == {ADA, NOBODY}
        renamed = replace(unknown, **{"role" if name != "role" else "company": "Countess"})
        assert upsert(sink, renamed) == UpsertResult(updated=1)
        assert stored() == {
            replace(renamed, **{name: getattr(ADA, name)}, unknown=frozenset()),
            NOBODY,
        }
        assert upsert(sink, replace(renamed, unknown=frozenset())) == UpsertResult(updated=1)
        assert getattr(next(each for each in stored() if each != NOBODY), name) == empty

    def test_of_a_new_contact_what_is_unknown_is_empty(self, sink, stored) -> None:
        unknown = replace(NOBODY, unknown=frozenset(FIELDS))
        assert upsert(sink, unknown) == UpsertResult(created=1)
        assert stored() == {NOBODY}
        assert upsert(sink, ADA, unknown) == UpsertResult(created=1, unchanged=1)

    def test_a_sink_tells_what_would_be_emptied_and_writes_nothing(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        able = capabilities(sink).foretelling
        if able is None or not self.shows_at_once:
            pytest.skip("the sink cannot tell")
        emptied = replace(ADA, role=None, emails=(), company=None, unknown=frozenset({"company"}))
        found = run(able.would_blank([emptied, NOBODY, replace(NOBODY, external_id="new")]))
        assert not isinstance(found, Failure)
        assert found.blanked == {"role": 1, "emails": 1}
        assert found.had == dict.fromkeys(FIELDS, 1)
        assert stored() == {ADA, NOBODY}
        assert upsert(sink, emptied, NOBODY) == UpsertResult(updated=1, unchanged=1)
        assert stored() == {replace(emptied, company=ADA.company, unknown=frozenset()), NOBODY}

    def test_nothing_is_emptied_of_what_is_unchanged_or_deleted(self, sink, stored) -> None:
        able = capabilities(sink).foretelling
        if able is None or not self.shows_at_once:
            pytest.skip("the sink cannot tell")
        upsert(sink, ADA)
        found = run(able.would_blank([ADA]))
        assert not isinstance(found, Failure)
        assert (found.blanked, found.had) == ({}, dict.fromkeys(FIELDS, 1))
        delete(sink, "attio", "a1")
        assert run(able.would_blank([replace(NOBODY, external_id="a1")])) == Blanking()

    # ── what a sink may do besides; one that cannot is asked nothing of it ─────────────────────

    def test_what_is_deleted_is_gone_and_it_says_how_many_there_were(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        assert delete(sink, "attio", "a1", "unknown") == 1
        assert run(sink.finish()) is None
        assert stored() == {NOBODY}

    def test_deleting_again_changes_nothing(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        assert [delete(sink, "attio", "a1"), delete(sink, "attio", "a1", "a1")] == [1, 0]
        assert delete(sink, "attio") == 0
        run(sink.finish())
        assert stored() == {NOBODY}

    def test_a_deleted_contact_that_comes_again_is_created_anew(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        delete(sink, "attio", "a1")
        assert upsert(sink, ADA) == UpsertResult(created=1)
        run(sink.finish())
        assert stored() == {ADA, NOBODY}

    def test_contacts_of_another_source_are_not_deleted(self, sink, stored) -> None:
        upsert(sink, ADA)
        assert delete(sink, "hubspot", "a1") == 0
        run(sink.finish())
        assert stored() == {ADA}

    def test_what_was_deleted_stays_so_when_the_sink_is_opened_again(self, sink, stored) -> None:
        upsert(sink, ADA, NOBODY)
        delete(sink, "attio", "a1")
        run(sink.aclose())
        assert known(sink, "attio") == {"n1"}
        assert delete(sink, "attio", "a1") == 0

    def test_a_sink_knows_what_it_has_of_each_source(self, sink, stored) -> None:
        assert known(sink, "attio") == set()
        upsert(sink, ADA, NOBODY, replace(ADA, external_id="o1", source="hubspot"))
        delete(sink, "attio", "n1")
        assert (known(sink, "attio"), known(sink, "hubspot")) == ({"a1"}, {"o1"})

    def test_a_sink_that_knows_itself_keeps_its_id_and_has_none_before_it_is_made(self, sink, stored) -> None:
        able = marked(sink)
        assert (able.sink_id(), able.marks()) == (None, ())
        assert not isinstance(run(sink.check()), Failure)
        sink_id = able.sink_id()
        run(sink.aclose())
        assert not isinstance(run(sink.check()), Failure)
        assert (able.sink_id(), bool(sink_id)) == (sink_id, True)

    def test_a_mark_comes_with_the_items_and_is_there_when_it_is_opened_again(self, sink, stored) -> None:
        able = marked(sink)
        assert run(able.upsert_marked([ADA], MARK)) == UpsertResult(created=1)
        assert (stored(), able.marks()) == ({ADA}, (MARK,))
        assert run(sink.finish()) is None
        run(sink.aclose())
        assert able.marks() == (MARK,)

    def test_each_source_object_has_a_mark_and_an_earlier_one_of_a_process_is_left(
        self, sink, stored
    ) -> None:
        able = marked(sink)
        assert not isinstance(run(sink.check()), Failure)
        other = replace(MARK, object="companies", watermark=None)
        following = replace(MARK, process="p2", version=2)
        for mark in (MARK, other, replace(MARK, version=3), following):
            assert run(able.set_mark(mark)) is None
            assert MARK in able.marks() or mark == following
        assert set(able.marks()) == {following, other}

    @settings(max_examples=tries(20, 200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=st.lists(PAGES | st.sets(st.sampled_from("abcdef")), max_size=8))
    def test_any_pages_and_deletions_leave_what_came_last(self, fresh, steps) -> None:
        sink, stored = fresh()
        expected: dict[tuple[str, str], Contact] = {}
        for step in steps:
            if isinstance(step, set):
                gone = {key for key in expected if key[1] == "attio" and key[0] in step}
                assert delete(sink, "attio", *step) == len(gone)
                expected = {key: contact for key, contact in expected.items() if key not in gone}
            else:
                created = sum((contact.external_id, contact.source) not in expected for contact in step)
                assert upsert(sink, *step).created == created
                expected |= {(contact.external_id, contact.source): contact for contact in step}
        run(sink.finish())
        assert stored() == set(expected.values())
        run(sink.aclose())

    @settings(max_examples=tries(20, 200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        pages=st.lists(
            st.lists(CONTACTS, max_size=6, unique_by=lambda c: (c.external_id, c.source)), max_size=6
        )
    )
    def test_any_pages_leave_the_last_of_each_contact_and_counts_that_add_up(self, fresh, pages) -> None:
        sink, stored = fresh()
        expected: dict[tuple[str, str], Contact] = {}
        for page in pages:
            result = upsert(sink, *page)
            known = {(c.external_id, c.source) for c in page} & expected.keys()
            assert result.created == len(page) - len(known)
            assert result.created + result.updated + result.unchanged == len(page)
            expected.update(((c.external_id, c.source), c) for c in page)
        run(sink.finish())
        assert stored() == set(expected.values())
        run(sink.aclose())
