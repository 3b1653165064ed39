"""The parts of `make bench` that pull: they count what they say, shown on few people, without the peers."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from benchmarks.pulls import environments, results, tables
from benchmarks.pulls.chart import chart, svg
from benchmarks.pulls.contestants import Contestant, bare_loop, confirming, ours, peers
from benchmarks.pulls.hazards import Moved, pulled_cut, pulled_moving, pulled_refused
from benchmarks.pulls.running import run
from benchmarks.pulls.servers import QUERY, Moving, Refusing
from benchmarks.pulls.speed import Measured, Pull, Scenario, measured
from benchmarks.turns import spread
from syncfsm_simulator.fakes.asgi import App

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def loop_of_ours() -> Contestant:
    """Return the bare loop, run by our own interpreter: its environment need not be made."""
    peer, program = bare_loop(), str(environments.PEERS / "with_httpx.py")

    def command(url: str, page_size: int, folder: Path) -> list[str]:
        return [sys.executable, program, url, str(page_size), str(folder)]

    return Contestant(peer.name, peer.version, command, peer.got)


ONE_AFTER_THE_OTHER = """
import json, sys, urllib.request

sorts = [{"attribute": "created_at", "direction": "asc"}, {"attribute": "record_id", "direction": "asc"}]
offset, rows = 0, [None]
while rows:
    body = json.dumps({"limit": int(sys.argv[2]), "offset": offset, "sorts": sorts}).encode()
    url = f"{sys.argv[1]}/v2/objects/people/records/query"
    request = urllib.request.Request(url, body, {"authorization": "Bearer any"})
    rows = json.load(urllib.request.urlopen(request))["data"]
    for row in rows:
        print(json.dumps({"type": "RECORD", "record": row["id"]}))
    offset += int(sys.argv[2])
"""


def one_after_the_other() -> Contestant:
    """Return what asks for pages by offset, one after the other, and writes as a tap does."""

    def command(url: str, page_size: int, _folder: Path) -> list[str]:
        return [sys.executable, "-c", ONE_AFTER_THE_OTHER, url, str(page_size)]

    (singer,) = (peer for peer in peers() if peer.name == "Singer SDK")
    return Contestant("one after the other", "", command, singer.got)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits {seconds} s")


def client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://fake",
        headers={"authorization": "Bearer any"},
    )


async def ids(of: httpx.AsyncClient, limit: int = 500) -> set[str]:
    reply = await of.post(QUERY, json={"limit": limit})
    return {row["id"]["record_id"] for row in reply.raise_for_status().json()["data"]}


async def asked(app: Moving) -> list[set[str]]:
    async with client(app) as of:
        return [await ids(of) for _ in range(3)]


@pytest.mark.parametrize(("go", "come"), [(0, 0), (3, 1), (0, 2), (5, 0)])
def test_rows_move_before_each_query_but_the_first_and_who_stayed_is_known(go: int, come: int) -> None:
    app = Moving(10, go=go, come=come)
    first, second, third = asyncio.run(asked(app))
    assert [len(first), len(second), len(third)] == [10, 10 + come - go, max(0, 10 + 2 * (come - go))]
    assert app.queries == 3
    assert app.survivors == first & third
    assert len(app.survivors) >= 10 - 2 * go


async def refusals(app: Refusing, clock: Hand) -> tuple[list[int], set[str | None]]:
    async with client(app) as of:
        statuses: list[int] = []
        named: set[str | None] = set()
        for wait_s in (0, 0, 0.1, 3, 1, 10):
            clock.at += timedelta(seconds=wait_s)
            reply = await of.post(QUERY, json={"limit": 1})
            statuses.append(reply.status_code)
            named.add(reply.headers.get("retry-after"))
        return statuses, named


def test_refusals_name_one_moment_and_count_who_comes_before_it() -> None:
    clock = Hand()
    app = Refusing(Moving(1), clock, since=2, for_s=9.5)
    statuses, named = asyncio.run(refusals(app, clock))
    assert statuses == [200, 429, 429, 429, 429, 200]
    assert named == {None, "Thu, 01 Jan 2026 12:00:10 GMT"}
    assert app.early == 2  # and not the one that was under way
    assert app.came_after_s == pytest.approx(4.1)


def test_who_counts_offsets_loses_people_whom_we_do_not() -> None:
    theirs, own = pulled_moving(one_after_the_other(), 500), pulled_moving(ours(), 500)
    assert theirs.says_well
    assert own.says_well
    assert (theirs.queries, theirs.stayed) == (11, 500 - 30)
    assert theirs.lost == 11  # by this seed: so many of those who go stood before the page that is due
    assert own.lost == own.twice == 0
    assert own.queries >= 10


def test_a_server_that_cuts_pages_is_believed_unless_it_is_said_to() -> None:
    got = [pulled_cut(each) for each in (loop_of_ours(), ours(), confirming())]
    assert [one.got for one in got] == [40, 20, 100]
    assert all(one.says_well for one in got)


def test_who_gives_up_at_a_refusal_never_comes_back() -> None:
    found = pulled_refused(loop_of_ours(), 60)
    assert (found.says_well, found.early, found.came_after_s) == (False, 0, None)
    assert found.got < found.people


def test_pulls_are_measured_whole_and_those_that_lack_somebody_are_only_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    loop = loop_of_ours()
    tries = iter([False, True])

    def sometimes_nobody(folder: Path) -> Counter[str]:
        return loop.got(folder) if next(tries) else Counter()

    def nobody(_folder: Path) -> Counter[str]:
        return Counter()

    forgetful = Contestant("forgetful", "", loop.command, sometimes_nobody)
    hopeless = Contestant("hopeless", "", loop.command, nobody)
    found = measured(Scenario(people=30, page_size=20, turns=2), [loop, forgetful, hopeless])
    assert [(pull.name, pull.failed) for pull in found.pulls] == [(loop.name, 0), ("forgetful", 1)]
    assert all(min(pull.cpu_s.least, pull.wall_s.least) > 0 for pull in found.pulls)
    assert "| forgetful; 1 more failed |" in tables.near(results.Results(size="", machine={}, near=(found,)))
    assert capsys.readouterr().err.count("exit status 0, 0 of 30 people") == 3


def test_memory_is_that_of_the_process_and_not_of_whoever_started_it(tmp_path: Path) -> None:
    mine = b"x" * 150_000_000
    small = run([sys.executable, "-c", "pass"], tmp_path)
    large = run([sys.executable, "-c", "b'x' * 100_000_000; raise SystemExit(3)"], tmp_path)
    assert small.peak_mb < 60 < large.peak_mb < len(mine) / 2**20
    assert (small.status, large.status) == (0, 3)


def test_a_process_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="did not end within"):
        run([sys.executable, "-c", "import threading; threading.Event().wait()"], tmp_path, timeout_s=0.5)


def test_lines_of_taps_and_sources_are_read_for_their_records(tmp_path: Path) -> None:
    singer, airbyte = (peer.got for peer in peers() if "SDK" in peer.name or "CDK" in peer.name)
    record = '{"type":"RECORD","record":{"record_id":"a"}}\n'
    (tmp_path / "out").write_text('{"type":"SCHEMA"}\nsome words\n' + 2 * record)
    assert singer(tmp_path) == {"a": 2}
    record = '{"type":"RECORD","record":{"data":{"id":{"record_id":"b"}}}}\n'
    (tmp_path / "out").write_text('{"type":"LOG"}\n' + record)
    assert airbyte(tmp_path) == {"b": 1}


def a_pull(name: str, seconds: float, people: int = 1000) -> Pull:
    each = spread([seconds])
    return Pull(name=name, version="", people=people, wall_s=each, cpu_s=each, peak_mb=each)


def some_results() -> results.Results:
    near = Measured(
        scenario=Scenario(people=1000, page_size=50, turns=1), pulls=(a_pull("we", 2), a_pull("they", 5))
    )
    more = Measured(
        scenario=Scenario(people=4000, page_size=50, turns=1), pulls=(a_pull("we", 12, people=4000),)
    )
    lost = Moved(name="a <loop>", queries=9, stayed=100, lost=25, twice=0, says_well=True)
    return results.Results(
        size="quick", machine={"Python": "3"}, near=(near,), growing=(near, more), moved=(lost,)
    )


def test_tables_have_ratios_to_the_first_line_and_to_a_straight_line() -> None:
    found = some_results()
    assert "| they | 5.00 | 2.50x | 5.00 | 2.50x | 5 | 2.50x |" in tables.near(found)
    assert "| 4,000 | we | 12.00 | 333 | 1.50x |" in tables.growing(found)
    assert tables.moved(found).endswith("| a <loop> | 9 | 100 | 25 | 0 | yes |\n\n")
    assert tables.deep(found) == tables.NOT_MEASURED
    assert "Deep offsets" not in tables.all_tables(found)


def test_results_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "folder/results.json"
    results.save(some_results(), path)
    assert results.load(path) == some_results()


def test_bars_are_as_long_as_what_they_show() -> None:
    drawn = ET.fromstring(chart(some_results()))
    kind = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in drawn.iter(f"{kind}rect")]
    assert widths[0] / widths[1] == pytest.approx(2 / 5)
    texts = [text.text for text in drawn.iter(f"{kind}text")]
    assert "a <loop>" in texts
    assert "25 of 100" in texts
    assert "prefers-color-scheme: dark" in chart(some_results())
    assert ET.fromstring(svg([("nobody", [])])) is not None


def test_the_chart_in_the_docs_shows_the_results_that_are_kept() -> None:
    assert (ROOT / "docs/benchmarks.svg").read_text() == chart(results.load(results.COMMITTED))
