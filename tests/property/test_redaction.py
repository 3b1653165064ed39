"""A redacted export holds nothing that the log says of people, and still verifies and replays the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import inspect, structs

from syncfsm.core import events as e
from syncfsm.core.options import Options
from syncfsm.core.paging.place import FrontierMark, Reject
from syncfsm.core.process import Process, fold
from syncfsm.core.pruning import Pruning
from syncfsm.core.value import Value
from syncfsm.engine.commit import commit
from syncfsm.history.replay import Moment, moments
from syncfsm.log import EventLog, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.transfer.exporting import Export
from syncfsm.log.transfer.importing import import_lines
from syncfsm.log.transfer.redact import KEY_BYTES, TABLE, Redaction, keep
from tests.busy import a_busy_log
from tests.effort import tries
from tests.pure import EPOCH

KEYS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
MARKER = "zqmarkerqz"


def holds_text(type_: inspect.Type) -> bool:
    """Whether a value of a type can have free text in it, by itself or in a collection."""
    match type_:
        case inspect.StrType() | inspect.AnyType():
            return True
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return holds_text(item)
        case inspect.DictType(key_type=key, value_type=value):
            return holds_text(key) or holds_text(value)
        case inspect.UnionType(types=types):
            return any(map(holds_text, types))
        case _:
            return False


def structs_in(type_: inspect.Type) -> Iterator[type]:
    """Yield the structs that a value of a type can have in it, whatever they are in."""
    match type_:
        case inspect.StructType(cls=cls, fields=fields):
            yield cls
            for field in fields:
                yield from structs_in(field.type)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            yield from structs_in(item)
        case inspect.UnionType(types=types):
            for one in types:
                yield from structs_in(one)
        case _:
            pass


def fields_of(cls: type) -> dict[str, inspect.Type]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return {field.name: field.type for field in info.fields}


KEPT = (*e.EVENT_TYPES.values(), Pruning)
ALL_STRUCTS = {cls for kept in KEPT for cls in structs_in(inspect.type_info(kept))}


def literals_of(cls: type) -> set[str]:
    return {name for name, type_ in fields_of(cls).items() if isinstance(type_, inspect.LiteralType)}


def test_every_field_that_can_hold_text_is_decided_about() -> None:
    """Somebody added a field to an event? Say in the table of redact.py what becomes of it."""
    assert set(TABLE) == ALL_STRUCTS
    for cls in ALL_STRUCTS:
        texts = {name for name, type_ in fields_of(cls).items() if holds_text(type_)}
        assert set(TABLE[cls]) == texts | literals_of(cls), cls


def test_only_words_of_our_own_are_kept_as_they_are() -> None:
    for cls in ALL_STRUCTS:
        assert {name for name, rule in TABLE[cls].items() if rule is keep} == literals_of(cls), cls


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """A log with events of every type."""
    path = a_busy_log(tmp_path_factory.mktemp("busy") / "log.db")
    with open_log(path, read_only=True) as log:
        assert {row.type for row in log.stored_events()} == set(e.EVENT_TYPES)
        yield log


def redacted(log: EventLog, key: bytes = bytes(KEY_BYTES)) -> list[bytes]:
    return list(Export(log, redaction=Redaction(key)).lines())


def test_a_field_nobody_decided_about_is_not_let_through(
    busy: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(TABLE[e.SyncCancelled], "why")
    with pytest.raises(KeyError, match="why"):
        redacted(busy)


class Planter:
    """Puts a marker wherever a text can be: the same one for the same text, so that the log stays legal."""

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self._numbers = count()
        self._known: dict[str, str] = {"": ""}

    def text(self, text: str) -> str:
        marker = f"{self._before}{MARKER}{next(self._numbers)}{self._after}"
        return self._known.setdefault(text, marker)

    def plant(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case tuple():
                return tuple(self.plant(item) for item in value)
            case dict():
                return {self.text(key): self.text(item) for key, item in value.items()}
            case Value():
                kept = literals_of(type(value))
                fields = {name: getattr(value, name) for name in value.__struct_fields__}
                new = {name: item if name in kept else self.plant(item) for name, item in fields.items()}
                return type(value)(**new)
            case _:
                return value

    def copy(self, source: EventLog, to: EventLog) -> None:
        """Copy a log, planted; what an event can have, but did not, is planted too."""
        for process_id in source.ids():
            process: Process | None = None
            for recorded in source.read(process_id):
                event = _with_all_there_can_be(recorded.event)
                planted = structs.replace(
                    recorded,
                    stream=self.text(process_id),
                    event=self.plant(event),
                    meta={self.text("worker"): self.text("w")},
                    position=None,
                    digest=None,
                )
                version = process.version if process else 0
                process = fold(process, [planted])
                assert process is not None
                to.append([planted], expected_version=version, after=process)


def _with_all_there_can_be(event: e.Event) -> e.Event:
    match event:
        case e.SyncStarted():
            record_ids = () if event.deletes_missing else ("r1", "r2")
            return structs.replace(event, parent="p0", record_ids=record_ids)
        case e.PageFetched():
            malformed = (Reject(record_id="r9", reason="no name"), Reject(record_id="", reason="no id"))
            frontier = event.frontier or FrontierMark(key="k", ids=("r9",))
            return structs.replace(event, malformed=malformed, frontier=frontier, peek="r10")
        case e.PagesShifted():
            return structs.replace(event, expected="r1", found="r2")
        case _:
            return event


NO_SHRINKING = (Phase.explicit, Phase.generate)  # a log of 110 events says enough, and shrinks for minutes


@settings(max_examples=tries(10, 100), deadline=None, phases=NO_SHRINKING)
@given(before=st.text(max_size=5), after=st.text(max_size=5), key=KEYS)
def test_of_what_is_planted_wherever_a_text_can_be_nothing_is_left(
    busy: EventLog, before: str, after: str, key: bytes
) -> None:
    with open_log(":memory:") as log:
        Planter(before, after).copy(busy, log)
        whole = b"".join(Export(log).lines())
        assert whole.count(MARKER.encode()) > 1000
        lines = redacted(log, key)
        assert MARKER.encode() not in b"".join(lines)
        with open_log(":memory:") as copy:
            import_lines(copy, lines)
            assert verify(copy) == verify(log) == (110, [])


def seen(moment: Moment) -> list[Any]:
    """Return what of a state has to be the same under other names."""
    process = moment.after
    frontier = process.paging.frontier
    return [
        moment.recorded.type,
        moment.recorded.at,
        process.version,
        process.state,
        process.page_size,
        process.order,
        process.options,
        process.watermark,
        structs.replace(process.progress, ids_digest=""),
        structs.replace(process.paging, frontier=None, peek=None),
        len(frontier.ids) if frontier else None,
        process.paging.peek is None,
        process.found is None,
        type(moment.next_action),
        process.is_resumable,
    ]


def test_it_replays_to_the_same_states_counts_and_next_actions(busy: EventLog) -> None:
    redaction = Redaction(bytes(range(KEY_BYTES)))
    with open_log(":memory:") as copy:
        import_lines(copy, Export(busy, redaction=redaction).lines())
        assert copy.ids() == [redaction.process_id(process_id) for process_id in busy.ids()]
        for process_id in busy.ids():
            mine = [seen(moment) for moment in moments(busy, process_id)]
            theirs = [seen(moment) for moment in moments(copy, redaction.process_id(process_id))]
            assert theirs == mine


def test_one_id_has_one_pseudonym_in_an_export_and_another_in_the_next(busy: EventLog) -> None:
    (first, second) = (redacted(busy, bytes([number]) * KEY_BYTES) for number in (1, 2))
    assert redacted(busy, bytes([1]) * KEY_BYTES) == first
    pages = pages_of(first)
    assert pages[1].peek in {pages[2].record_ids[0], pages[3].record_ids[0], pages[4].record_ids[0]}
    ids = {record_id for page in pages for record_id in page.record_ids}
    assert ids
    assert not ids & {record_id for page in pages_of(second) for record_id in page.record_ids}
    assert len(ids) == len({record_id for page in plain_pages(busy) for record_id in page.record_ids})


def pages_of(lines: list[bytes]) -> list[e.PageFetched]:
    with open_log(":memory:") as log:
        import_lines(log, lines)
        return plain_pages(log)


def plain_pages(log: EventLog) -> list[e.PageFetched]:
    events = [recorded.event for process_id in log.ids() for recorded in log.read(process_id)]
    return [event for event in events if isinstance(event, e.PageFetched)]


def test_kinds_and_causes_stay_since_they_name_nobody() -> None:
    with open_log(":memory:") as log:
        started = e.SyncStarted(
            source="attio:https://attio.acme.example",
            object="people",
            sink="sqlite:/home/ada/contacts.db",
            mode="initial",
            page_size=50,
            order="newest",
            options=Options(),
        )
        failed = e.SyncFailed(
            action="check", reason="unauthorized", error="ada@acme.example", resumable=True, cursor=None
        )
        commit_all(log, started, failed)
        lines = b"".join(redacted(log)).decode()
    assert "acme" not in lines
    assert "/ada" not in lines  # three letters alone may be part of a pseudonym
    assert "ada@" not in lines
    for word in ("attio:name-", "sqlite:name-", '\\"people\\"', "unauthorized"):
        assert word in lines


def commit_all(log: EventLog, *events: e.Event) -> None:
    commit(log, None, "p1", events, at=EPOCH)
