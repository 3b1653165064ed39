"""What a report says, before any browser has read it: columns, rooms, escapes, licences."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from importlib import resources
from typing import Any

import pytest

from syncfsm.core import events as e
from syncfsm.core.describe import action_words, event_words
from syncfsm.core.summary import summary
from syncfsm.errors import ConfigurationError, ProcessNotFound
from syncfsm.history.replay import at, moments
from syncfsm.log import EventLog, open_log
from syncfsm.report import render
from syncfsm.report.columns import Columns, Runs, columns
from syncfsm.report.overview import with_room
from tests.logs import HOSTILE, hostile_events, started, store, write, write_long
from tests.pure import EPOCH, PureSync, people, slice_of

ASSETS = resources.files("syncfsm.report") / "assets"


@pytest.fixture
def log() -> EventLog:
    return open_log(":memory:")


def columns_of(log: EventLog, process_id: str = "p1") -> Columns:
    return columns(moments(log, process_id))


def value_at(runs: Runs, version: int) -> Any:
    """Look a value up as the page does: the last one that begins at this version or before it."""
    return [value for begins, value in zip(runs.versions, runs.values, strict=True) if begins <= version][-1]


def blocks(html: str) -> dict[str, Any]:
    """Return the data of a page, by the id of its block."""
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', html, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def test_the_columns_have_at_each_version_what_a_replay_has(log: EventLog) -> None:
    write_long(log, 60)
    made = columns_of(log)
    for version in range(1, len(made.times_us) + 1):
        moment = at(log, "p1", version)
        state = summary(moment.after)
        looked_up = {name: value_at(runs, version) for name, runs in made.fields.items()}
        assert looked_up == {name: value for name, value in state.items() if name in looked_up}
        assert state.keys() - looked_up.keys() == {"version", "updated_at"}
        assert made.words[version - 1] == event_words(moment.recorded.event)
        assert made.types[made.type_of[version - 1]] == moment.recorded.type
        assert value_at(made.next, version) == action_words(moment.after, moment.next_action)
        began_at = EPOCH + timedelta(microseconds=made.began_us - int(EPOCH.timestamp()) * 10**6)
        assert began_at + timedelta(microseconds=made.times_us[version - 1]) == moment.recorded.at


def test_what_seldom_changes_is_said_once(log: EventLog) -> None:
    write_long(log, 60)
    fields = columns_of(log).fields
    assert fields["source"] == Runs(versions=(1,), values=("model",))
    assert fields["state"].values == ("INITIALIZING", "FETCHING", "COMPLETED")
    assert len(fields["delivered"].values) == 1 + len(columns_of(log).deliver_ms.values)


def test_the_latency_of_each_page_is_that_of_its_events(log: EventLog) -> None:
    write(log, hostile_events())
    made = columns_of(log)
    assert made.fetch_ms == Runs(versions=(3,), values=(12,))
    assert made.deliver_ms == Runs(versions=(6,), values=(3,))


def retry(until_s: float) -> e.RetryScheduled:
    return e.RetryScheduled(
        action="check",
        cause="rate_limited",
        error="slow down.",
        attempt=1,
        wait_s=0.5,
        retry_at=EPOCH + timedelta(seconds=until_s),
        cursor=None,
    )


def test_a_wait_ends_when_it_was_to_end_or_with_the_event_that_came_sooner(log: EventLog) -> None:
    cancelled = e.SyncCancelled(by="somebody", why="")
    write(log, [started(), retry(2.5), retry(60.0), cancelled], gap_ms=1000)
    assert columns_of(log).waits == Runs(versions=(2, 3), values=(1_500_000, 3_000_000))  # µs since 1 s


def test_a_wait_that_is_not_over_is_shown_to_its_end(log: EventLog) -> None:
    write(log, [started(), retry(60.0)], gap_ms=1000)
    assert columns_of(log).waits.values == (59_000_000,)


def test_a_report_of_a_process_shows_that_one(log: EventLog) -> None:
    write(log, hostile_events(), "p1")
    write_long_as(log, "p2")
    made = render(log, "p1", log_name="sync.db")
    assert (made.processes, made.shown, made.events) == (1, ("p1",), 8)
    assert blocks(made.html)["data"]["overview"] is None
    assert "<title>p1 in sync.db</title>" in made.html


def write_long_as(log: EventLog, process_id: str) -> None:
    sync = PureSync(slice_of(people(10)), page_size=2)
    sync.run()
    store(
        log,
        [
            e.Recorded(stream=process_id, version=one.version, at=one.at, event=one.event)
            for one in sync.recorded
        ],
    )


def test_a_report_of_all_lists_each_and_shows_each_the_last_first(log: EventLog) -> None:
    for process_id in ("p1", "p2", "p3"):
        write_long_as(log, process_id)
    made = render(log, log_name="sync.db")
    data = blocks(made.html)
    overview = data["data"]["overview"]
    assert made.shown == ("p3", "p2", "p1")
    assert [row[overview["names"].index("process")] for row in overview["rows"]] == ["p3", "p2", "p1"]
    assert overview["count"] == 3
    assert [data[f"data-{index}"]["columns"]["process"] for index in range(3)] == ["p3", "p2", "p1"]


def test_a_report_of_all_of_one_is_the_report_of_that_one(log: EventLog) -> None:
    write_long_as(log, "p1")
    assert render(log, log_name="x").html == render(log, "p1", log_name="x").html


def test_only_the_last_processes_are_in_a_page_in_full_as_far_as_there_is_room(log: EventLog) -> None:
    for process_id, events in (("p1", 2), ("p2", 60), ("p3", 3)):
        write(log, [started(), *[retry(0.1)] * (events - 2), e.SyncCancelled(by="", why="")], process_id)
    newest_first = [log.load(process_id) for process_id in ("p3", "p2", "p1")]
    assert with_room(newest_first, 65) == ["p3", "p2", "p1"]
    assert with_room(newest_first, 64) == ["p3", "p2"]
    assert with_room(newest_first, 10) == ["p3", "p1"]


def test_a_log_without_processes_has_no_report(log: EventLog) -> None:
    with pytest.raises(ProcessNotFound, match="no processes yet"):
        render(log, log_name="x")


def test_a_process_that_is_not_there_has_no_report(log: EventLog) -> None:
    write_long_as(log, "p1")
    with pytest.raises(ProcessNotFound, match="there is no process p9"):
        render(log, "p9", log_name="x")


def test_a_process_too_long_to_look_at_is_refused(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, [started(), retry(0.1)])
    monkeypatch.setattr("syncfsm.report.EVENTS_MAX", 1)
    with pytest.raises(ConfigurationError, match="has 2 events, and a report shows at most 1"):
        render(log, "p1", log_name="x")


def test_an_account_in_words_is_in_the_page(log: EventLog) -> None:
    write_long_as(log, "p1")
    sections = blocks(render(log, "p1", log_name="x.db").html)["data-0"]["account"]
    assert [section["heading"] for section in sections] == ["asked", "state", "troubles", "time", "next"]
    assert sections[0]["sentences"][0].endswith("a page.")


def test_nothing_in_a_log_can_end_the_block_it_is_in(log: EventLog) -> None:
    write(log, hostile_events(), HOSTILE)
    html = render(log, log_name=HOSTILE).html
    data = blocks(html)
    assert data["data"]["log"] == HOSTILE
    assert data["data-0"]["columns"]["fields"]["sink"]["values"] == [HOSTILE]
    assert html.count("<script") == html.count("</script>") == 1 + len(data)
    assert html.count("<title>") == html.count("</title>") == 1
    assert "<!--" not in html
    assert "<img" not in html


def test_the_policy_allows_the_pages_own_script_and_styles_and_nothing_else(log: EventLog) -> None:
    write_long_as(log, "p1")
    html = render(log, log_name="x").html
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == digest(*re.findall(r"<script>(.*?)</script>", html, re.DOTALL))
    assert rules["style-src"] == digest(*re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert rules["require-trusted-types-for"] == "'script'"


def digest(*texts: str) -> str:
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts)


def test_the_licence_of_the_chart_library_travels_with_every_page(log: EventLog) -> None:
    write_long_as(log, "p1")
    licence = (ASSETS / "uplot/LICENSE").read_text()
    assert "The MIT License" in licence
    assert licence in render(log, log_name="x").html


def test_the_readme_of_the_chart_library_names_the_release_that_is_there() -> None:
    release = re.search(r"\(v([\d.]+)\)", (ASSETS / "uplot/uPlot.iife.min.js").read_text()[:200])
    assert release is not None
    assert f"uPlot {release[1]}," in (ASSETS / "uplot/README.md").read_text()


def test_the_pages_own_script_makes_no_markup_from_text() -> None:
    scripts = [path for path in ASSETS.iterdir() if path.name.endswith(".js")]
    assert len(scripts) == 8
    for path in scripts:
        text = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text
        ), path
        assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text), path
        assert len(text.splitlines()) <= 320, path
