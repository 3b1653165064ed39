"""Export and import: a sound log comes back whole, a damaged one as far as its digests prove it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from syncfsm.core import events as e
from syncfsm.core.notices import Notice
from syncfsm.engine.commit import cancel
from syncfsm.errors import ActiveSync, CorruptLog, LogError
from syncfsm.log import EventLog, StoredEvent, codec, open_log
from syncfsm.log.checks.verify import verify
from syncfsm.log.salvage.opening import open_audit
from syncfsm.log.transfer.exporting import Export, process_ids
from syncfsm.log.transfer.importing import import_lines
from tests.busy import a_busy_log
from tests.cells import places_of_events
from tests.contracts.event_log import BEGAN, STARTED, add
from tests.editing import edit
from tests.effort import tries
from tests.pure import EPOCH

PAGE_BYTES = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_busy_log(tmp_path_factory.mktemp("sound") / "log.db")


def exported(path: Path, process_id: str | None = None) -> tuple[list[bytes], Export]:
    with open_audit(path) as log:
        done = Export(log, process_id)
        return list(done.lines()), done


def imported(lines: Iterable[bytes]) -> EventLog:
    log = open_log(":memory:")
    import_lines(log, lines)
    return log


def streams_of(log: EventLog) -> dict[str, list[StoredEvent]]:
    """Return the rows of each process, without their positions."""
    streams: dict[str, list[StoredEvent]] = {}
    for row in log.stored_events():
        streams.setdefault(row.stream, []).append(replace(row, position=0))
    return streams


def shown(log: EventLog, process_id: str) -> list[Any]:
    """Return what `log show --json` prints of a process, but for the positions."""
    return [to_builtins(replace(recorded, position=None)) for recorded in log.read(process_id)]


def test_a_sound_log_comes_back_whole_with_its_digests_states_and_snapshots(sound: Path) -> None:
    lines, done = exported(sound)
    assert done.is_whole
    assert done.findings() == []
    with open_log(sound, read_only=True) as before, imported(lines) as after:
        assert streams_of(after) == streams_of(before)
        assert after.ids() == before.ids()
        assert verify(after) == (110, [])
        for process_id in before.ids():
            assert shown(after, process_id) == shown(before, process_id)
            assert after.load(process_id) == before.load(process_id)
            assert after.version(process_id) == before.version(process_id)
        assert after.projection() == before.projection()
        assert after.active("model:e1", "people") == before.active("model:e1", "people")


def test_an_export_of_what_was_imported_is_the_same_bytes(sound: Path) -> None:
    lines, _ = exported(sound)
    with imported(lines) as log:
        assert list(Export(log).lines()) == lines


def test_one_process_can_be_exported_alone(sound: Path) -> None:
    lines, done = exported(sound, "c3d9")
    assert (done.processes, done.events) == (1, 35)
    with imported(lines) as log:
        assert log.ids() == ["c3d9"]
        assert verify(log) == (35, [])


def salvaged(sound: Path, damaged: Path) -> dict[str, list[StoredEvent]]:
    """Export a damaged log, import that, and check that no event came that was not written."""
    lines, _ = exported(damaged)
    with open_log(sound, read_only=True) as log:
        before = streams_of(log)
    with imported(lines) as log:
        assert verify(log)[1] == []
        after = streams_of(log)
    for process_id, rows in after.items():
        assert rows == before[process_id][: len(rows)]
    return after


def test_a_flipped_bit_costs_at_most_its_own_event_and_those_after_it(sound: Path, tmp_path: Path) -> None:
    places, path = places_of_events(sound), tmp_path / "flipped.db"
    with open_log(sound, read_only=True) as log:
        rows, before = list(log.stored_events()), streams_of(log)
    chance = random.Random(3)
    for _ in range(40):
        row = chance.choice(rows)
        data = bytearray(sound.read_bytes())
        data[chance.choice(places[row.position])] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        after = salvaged(sound, path)
        others = before.keys() - {row.stream}
        assert {name: after[name] for name in others} == {name: before[name] for name in others}
        assert len(after.get(row.stream, [])) >= row.version - 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET digest = 'x' WHERE stream = 'c3d9' AND version = 4",
        "UPDATE events SET version = 99 WHERE stream = 'c3d9' AND version = 4",
        "UPDATE events SET stream = 'c3d8' WHERE stream = 'c3d9' AND version = 4",
        "UPDATE events SET stream = 'c3d8' WHERE stream = 'c3d9' AND version = 1",
        "DELETE FROM processes",
    ],
)
def test_what_the_digests_prove_is_exported_as_it_was(sound: Path, tmp_path: Path, statement: str) -> None:
    path = copy_of(sound, tmp_path, statement)
    lines, done = exported(path)
    assert done.is_whole
    assert done.findings()
    with open_log(sound, read_only=True) as before, imported(lines) as after:
        assert streams_of(after) == streams_of(before)


def copy_of(sound: Path, folder: Path, *statements: str) -> Path:
    path = folder / "copy.db"
    path.write_bytes(sound.read_bytes())
    edit(path, *statements)
    return path


def test_what_was_left_out_is_told_by_process_and_version(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path, "UPDATE events SET at = 'x' WHERE stream = 'c3d9' AND version = 5")
    _, done = exported(path)
    assert not done.is_whole
    (extent,) = done.left_out()
    assert (extent.process, extent.sound, extent.stored) == ("c3d9", 4, 35)
    (finding,) = done.findings()
    assert (finding.process, finding.version) == ("c3d9", 5)
    assert exported(path, "a771")[1].is_whole


@settings(
    max_examples=tries(25, 200),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_pages_that_are_overwritten_cut_off_or_mixed_up_bring_no_false_event(
    sound: Path, tmp_path: Path, data: st.DataObject
) -> None:
    image = bytearray(sound.read_bytes())
    pages = len(image) // PAGE_BYTES
    for page in data.draw(st.lists(st.integers(0, pages - 1), max_size=3), "pages"):
        filler = data.draw(st.sampled_from([b"\0", b"\xff", b"\r", b"\5"]), "filler")
        start = data.draw(st.integers(0, PAGE_BYTES - 1), "start")
        image[page * PAGE_BYTES + start : (page + 1) * PAGE_BYTES] = filler * (PAGE_BYTES - start)
    one, two = data.draw(st.tuples(st.integers(0, pages - 1), st.integers(0, pages - 1)), "swapped")
    here, there = (
        slice(one * PAGE_BYTES, (one + 1) * PAGE_BYTES),
        slice(two * PAGE_BYTES, (two + 1) * PAGE_BYTES),
    )
    image[here], image[there] = image[there], image[here]
    size = data.draw(st.one_of(st.just(len(image)), st.integers(0, len(image))), "size")
    path = tmp_path / "damaged.db"
    path.write_bytes(image[:size])
    try:
        open_audit(path).__exit__(None, None, None)
    except LogError:
        return  # nothing says any more that it was a log
    after = salvaged(sound, path)
    _, done = exported(path)
    with open_log(sound, read_only=True) as log:
        assert after == streams_of(log) or not done.is_whole


def test_a_log_whose_first_page_and_tree_are_gone_still_gives_its_events(sound: Path, tmp_path: Path) -> None:
    image = bytearray(sound.read_bytes())
    image[:PAGE_BYTES] = bytes(PAGE_BYTES)
    path = tmp_path / "headless.db"
    path.write_bytes(image)
    after = salvaged(sound, path)
    with open_log(sound, read_only=True) as log:
        assert after == streams_of(log)
    with open_audit(path) as audit:
        assert set(process_ids(audit)) == set(after)


# ── import ───────────────────────────────────────────────────────────────────────────────────


def test_what_is_there_already_is_passed_over_and_what_follows_is_added(sound: Path) -> None:
    lines, _ = exported(sound)
    with imported(lines) as log:
        again = import_lines(log, lines)
        assert (again.processes, again.events, again.known) == (7, 0, 110)
        assert verify(log) == (110, [])


def test_a_longer_export_adds_what_a_shorter_one_lacked() -> None:
    with open_log(":memory:") as source, open_log(":memory:") as log:
        process = add(source, None, STARTED)
        import_lines(log, list(Export(source).lines()))
        shorter = list(Export(source).lines())
        add(source, process, BEGAN)
        assert import_lines(log, Export(source).lines()).events == 1
        assert log.load("p1") == source.load("p1")
        assert import_lines(log, shorter).events == 0
        assert log.version("p1") == 2
        assert verify(log) == (2, [])


def test_an_imported_sync_can_be_gone_on_with() -> None:
    with open_log(":memory:") as source, open_log(":memory:") as log:
        add(source, None, STARTED)
        import_lines(log, Export(source).lines())
        add(log, log.load("p1"), BEGAN)
        assert verify(log) == (2, [])


def test_other_events_of_the_same_process_are_refused_and_nothing_is_written(sound: Path) -> None:
    with open_log(":memory:") as source, open_log(":memory:") as log:
        add(source, None, replace(STARTED, object="companies"), process_id="p0")
        add(source, None, STARTED)
        add(log, None, STARTED)
        cancel(log, "p1", by="test")
        add(source, source.load("p1"), BEGAN)
        before = list(log.stored_events())
        with pytest.raises(LogError, match="process p1 is in this log already, and its version 2 is another"):
            import_lines(log, Export(source).lines())
        assert list(log.stored_events()) == before
        assert log.ids() == ["p1"]


def test_a_second_active_sync_is_refused_with_what_to_do(sound: Path) -> None:
    with open_log(":memory:") as one, open_log(":memory:") as two, open_log(":memory:") as log:
        add(one, None, STARTED)
        add(two, None, STARTED, process_id="p2")
        import_lines(log, Export(one).lines())
        with pytest.raises(ActiveSync, match="p1 and p2 would both be active syncs of attio people"):
            import_lines(log, Export(two).lines())
        assert log.ids() == ["p1"]
        cancel(log, "p1", by="test")
        import_lines(log, Export(two).lines())
        assert log.ids() == ["p1", "p2"]


def test_two_processes_that_damage_made_active_are_refused_together_and_taken_one_by_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    with open_log(path) as log:
        for process_id in ("p1", "p2"):
            add(log, None, STARTED, BEGAN, process_id=process_id)
            cancel(log, process_id, by="test")
    damaged = copy_of(path, tmp_path, "UPDATE events SET data = '{}' WHERE version = 3")
    with open_log(":memory:") as log:
        with pytest.raises(ActiveSync, match="processes p1 and p2 would both be active"):
            import_lines(log, exported(damaged)[0])
        assert log.ids() == []
        import_lines(log, exported(damaged, "p2")[0])
        assert log.ids() == ["p2"]


def test_a_process_that_ends_in_the_export_makes_way_for_the_next_one() -> None:
    with open_log(":memory:") as source, open_log(":memory:") as log:
        add(source, None, STARTED)
        import_lines(log, Export(source).lines())
        cancel(source, "p1", by="test")
        add(source, None, STARTED, process_id="p0")
        import_lines(log, Export(source).lines())
        assert log.projection() == {"p1": 2, "p0": 1}


def changed(lines: list[bytes], number: int, **fields: Any) -> list[bytes]:
    line = {**json.loads(lines[number - 1]), **fields}
    return [*lines[: number - 1], json.dumps(line).encode(), *lines[number:]]


def test_an_export_that_was_edited_is_refused_with_its_line_and_event(sound: Path) -> None:
    lines, _ = exported(sound)
    with open_log(":memory:") as log:
        for fields in (
            {"at": "2027"},
            {"type": "PageFetched"},
            {"meta": "{}"},
            {"digest": "0" * 32},
            {"version": 9},
        ):
            with pytest.raises(
                CorruptLog, match=r"^line 5 \(process 5f0c, version \d\): .*digest.*Nothing was"
            ):
                import_lines(log, changed(lines, 5, **fields))
        assert list(log.stored_events()) == []


@pytest.mark.parametrize("kept", [1, 2, 50, 96])
def test_an_export_that_was_cut_short_is_refused(sound: Path, kept: int) -> None:
    lines, _ = exported(sound)
    with open_log(":memory:") as log:
        with pytest.raises(CorruptLog, match="cut short"):
            import_lines(log, lines[:kept])
        with pytest.raises(CorruptLog, match=f"line {kept + 1} is no line of an export"):
            import_lines(log, [*lines[:kept], lines[kept][:-5]])
        assert list(log.stored_events()) == []


@pytest.mark.parametrize(
    "line", [b'{"kind":"event","data":"caf\xe9"}', b'{"kind":' + b"[" * 100_000], ids=["no text", "deep"]
)
def test_a_line_that_cannot_be_read_is_refused(sound: Path, line: bytes) -> None:
    lines, _ = exported(sound)
    with open_log(":memory:") as log:
        with pytest.raises(CorruptLog, match="line 2 is no line of an export"):
            import_lines(log, [lines[0], line, *lines[1:]])
        with pytest.raises(LogError, match="this is no export"):
            import_lines(log, [line])
        assert list(log.stored_events()) == []


def test_an_export_that_lost_or_doubled_lines_is_refused(sound: Path) -> None:
    lines, _ = exported(sound)
    with open_log(":memory:") as log:
        for wrong in (
            [*lines[:4], *lines[5:]],
            [*lines[:5], *lines[4:]],
            [*lines, lines[3]],
            [*lines[:3], *lines],
        ):
            with pytest.raises(CorruptLog):
                import_lines(log, wrong)
        with pytest.raises(CorruptLog, match="had 110 events, and 108 came"):
            import_lines(log, [line for line in lines if b'"0b44"' not in line])
        assert list(log.stored_events()) == []


def test_what_is_no_export_is_said_to_be_none(sound: Path) -> None:
    header = json.loads(exported(sound)[0][0])
    newer = json.dumps({**header, "version": 3}).encode()
    with open_log(":memory:") as log:
        for lines in (
            [],
            [b"remember the milk"],
            [b'{"line": "end", "processes": 0, "events": 0}'],
            [b"\xff"],
        ):
            with pytest.raises(LogError, match="no export of a syncfsm log"):
                import_lines(log, lines)
        with pytest.raises(LogError, match="newer syncfsm"):
            import_lines(log, [newer])


def test_an_illegal_event_with_a_right_digest_is_refused() -> None:
    with open_log(":memory:") as source, open_log(":memory:") as log:
        process = add(source, None, STARTED, BEGAN)
        (record,) = source.read("p1", after=1)
        source.append([replace(record, version=3)], expected_version=2, after=replace(process, version=3))
        rows = list(source.stored_events())
        from syncfsm.log.transfer.lines import EndLine, event_line, to_bytes  # noqa: PLC0415

        header = next(Export(source).lines())
        lines = [
            header,
            *(to_bytes(event_line(row)) for row in rows),
            to_bytes(EndLine(processes=1, events=3)),
        ]
        with pytest.raises(CorruptLog, match="FetchingBegan is not legal"):
            import_lines(log, lines)
        assert log.ids() == []


ODD: dict[str, tuple[int, dict[str, Any], str]] = {
    "a page size below zero": (1, {"page_size": -5}, "page size -5 cannot work: choose 1 to "),
    "a page size of none": (1, {"page_size": 0}, "page size 0 cannot work"),
    "a limit out of its range": (1, {"options": {"attempts_max": 0}}, "attempts_max=0 cannot work"),
    "a date without a time": (1, {"at": "2026-01-01"}, "it was at '2026-01-01': a log says times as"),
    "a time without a zone": (1, {"at": "2026-01-01T00:00:00.000000"}, "a log says times as"),
    "a time of another zone": (1, {"at": "2026-01-01T01:00:00.000000+01:00"}, "a log says times as"),
    "no name": (1, {"stream": ""}, "its process has no name"),
    "a start without its records": (1, {"mode": "webhook"}, "a sync of mode webhook asks for single records"),
    "a start that would delete what it did not ask for": (
        1,
        {"record_ids": ["r1"], "deletes_missing": True},
        "only who asks for all records can say who is missing",
    ),
    "a start that leads nowhere": (1, {"mode": "ongoing"}, "an ongoing sync begins somewhere"),
    "a since without a zone": (
        1,
        {"mode": "ongoing", "since": "2026-01-01T00:00:00"},
        "its since is 2026-01-01T00:00:00: no moment with a time zone",
    ),
    "a page of less than no rows": (3, {"count": -1}, "its count is -1: no number from 0 to"),
    "a page beyond all numbers": (3, {"next_cursor": 10**30}, "its next_cursor is 1000000000000"),
    "a page before all time": (3, {"as_of": "0001-01-01T00:00:00Z"}, "its as_of is 0001-01-01T00:00:00"),
    "a delivery of less than none": (5, {"created": -7}, "its created is -7"),
    "a part that is less than none": (5, {"left_out": {"x": -1}}, "its left_out of 'x' is -1"),
}


def crafted(lines: list[bytes], number: int, changes: dict[str, Any]) -> list[bytes]:
    """Change an event and compute all the digests after it anew, as whoever means ill would."""
    header, *events, end = map(json.loads, lines)
    digest = ""
    for version, event in enumerate(events, start=1):
        if version == number:
            data = json.loads(event["data"])
            inner = {name: value for name, value in changes.items() if name in data}
            event |= {name: value for name, value in changes.items() if name in event}
            event["data"] = json.dumps(data | inner)
        event["stream"] = changes.get("stream", event["stream"])
        row = StoredEvent(position=0, **{name: value for name, value in event.items() if name != "line"})
        digest = event["digest"] = codec.chain(digest, row)
    return [json.dumps(line).encode() for line in (header, *events, end)]


@pytest.mark.parametrize("name", ODD)
def test_an_event_that_readers_would_stumble_over_is_refused_with_its_line(sound: Path, name: str) -> None:
    number, changes, words = ODD[name]
    lines, _ = exported(sound, "c3d9")
    wrong = crafted(lines, number, changes)
    assert imported(crafted(lines, 1, {})).version("c3d9") == 35
    with open_log(":memory:") as log:
        with pytest.raises(CorruptLog, match=rf"^line {number + 1} \(process .*\): .*Nothing was") as refused:
            import_lines(log, wrong)
        assert words in str(refused.value)
        assert log.ids() == []


def test_every_golden_log_can_be_exported_and_imported(tmp_path: Path) -> None:
    for path in (Path(__file__).parents[1] / "golden").glob("*.sql"):
        golden = tmp_path / f"{path.stem}.db"
        with sqlite3.connect(golden) as connection:
            connection.executescript(path.read_text(encoding="utf-8"))
        connection.close()
        lines, done = exported(golden)
        with imported(lines) as log:
            assert verify(log) == (done.events, [])


def test_old_shapes_keep_their_schema_and_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_log(":memory:") as source, open_log(":memory:") as log:
        add(source, None, STARTED, e.SyncCancelled(by="test", why=""))
        monkeypatch.setattr(e.SyncCancelled, "schema", 2)
        monkeypatch.setitem(codec.UPCASTERS, ("SyncCancelled", 1), lambda shape: {**shape, "why": "unknown"})
        import_lines(log, Export(source).lines())
        assert list(log.stored_events()) == list(source.stored_events())
        assert [row.schema for row in log.stored_events()] == [1, 1]
        assert verify(log) == (2, [])


def test_notices_that_wait_are_counted_for_they_have_no_place_in_an_export(tmp_path: Path) -> None:
    path = tmp_path / "sync.db"
    with open_log(path) as log:
        told = Notice(source="crm", object="people", key=None, record_ids=("r1",), received_at=EPOCH)
        assert all(log.receive(told) for _ in range(2))
    _, done = exported(path)
    assert done.notices_left_out == 2
