"""Sources and sinks of other packages, over the real command line: found, used, and harmless when broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncfsm_simulator.fakes.asgi import Reply, Scope
from syncfsm_simulator.fakes.axiscare import FakeAxisCare
from syncfsm_simulator.fakes.flat_person import asking_with_a_key, json_reply
from syncfsm_simulator.fakes.numbered import FakeNumbered
from syncfsm_simulator.fakes.serve import served
from syncfsm_simulator.world.clock import EPOCH
from syncfsm_simulator.world.world import World
from tests.acceptance.conftest import KEY, Cli
from tests.acceptance.test_docs import blocks

PEOPLE = 130


def install(folder: Path, package: str, entry_points: str, **modules: str) -> None:
    """Lay a package out as pip would, in a folder that is on the path."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)


@pytest.fixture
def site(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where packages can be installed, which the command line sees."""
    folder = tmp_path_factory.mktemp("site")
    cli.site = folder
    cli.env |= {"ACME_API_KEY": KEY, "AXISCARE_API_KEY": KEY}
    return folder


def install_acme(site: Path) -> None:
    (code,) = blocks("docs/sources.md", "python")
    (project,) = blocks("docs/sources.md", "toml")
    points = project[project.index('"syncfsm.sources"') :].splitlines()[1].replace('"', "")
    install(site, "acme-syncfsm", f"[syncfsm.sources]\n{points}\n", acme_syncfsm=code)


@pytest.fixture(scope="module")
def acme_url() -> Iterator[str]:
    with served(FakeNumbered(World(1, people=PEOPLE, now=EPOCH))) as url:
        yield url


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    count: int = connection.execute("SELECT count(*) FROM contacts").fetchone()[0]
    connection.close()
    return count


def test_what_is_installed_is_listed_with_keys_and_paginations(cli: Cli) -> None:
    found = cli.json("sources")
    assert [
        (source["name"], source["pagination"], source["key_variable"]) for source in found["sources"]
    ] == [
        ("attio", "offset", "ATTIO_API_KEY"),
        ("axiscare", "cursor", "AXISCARE_API_KEY"),
    ]
    assert [sink["example"] for sink in found["sinks"]] == [
        "sqlite:FILE",
        "jsonl:FILE",
        "postgresql://USER@HOST/DATABASE",
        "quo:",
    ]
    out, _ = cli("sources")
    assert "key in AXISCARE_API_KEY; by cursors; order id" in out


def test_the_package_of_the_page_on_sources_syncs_everybody(cli: Cli, site: Path, acme_url: str) -> None:
    install_acme(site)
    where = ("--source", "acme", "--base-url", acme_url, "--sink", "sqlite:contacts.db")
    out, _ = cli("sync", *where)
    assert f"{PEOPLE} of {PEOPLE} records: {PEOPLE} created" in out
    assert rows(cli.folder / "contacts.db") == PEOPLE
    summary = cli.json("sync", *where, "--fresh", "--read-ahead", "1", "--order", "id")
    assert (summary["total"], summary["unchanged"]) == (PEOPLE, PEOPLE)
    explained, _ = cli("explain", "sync.db")
    assert f"{PEOPLE} of {PEOPLE} records fetched" in explained
    (acme,) = [source for source in cli.json("sources")["sources"] if source["name"] == "acme"]
    assert (acme["package"], acme["pagination"], acme["problem"]) == ("acme-syncfsm 1.0", "page", None)


def test_a_source_needs_the_key_that_it_names(cli: Cli, site: Path, acme_url: str) -> None:
    install_acme(site)
    del cli.env["ACME_API_KEY"]
    _, err = cli("sync", "--source", "acme", "--base-url", acme_url, "--sink", "jsonl:x", status=2)
    assert "there is no key for Acme" in err


SINK = """
from syncfsm.sinks import SinkSettings
from syncfsm.sinks.own import JSONL

class Lines:
    name, description, key_variable, example = "lines", "Lines.", "", "lines:FILE"

    def open(self, settings):
        return JSONL.open(SinkSettings(where=settings.where + ".jsonl"))

LINES = Lines()
"""


def test_a_sink_of_another_package_takes_everybody(cli: Cli, site: Path, acme_url: str) -> None:
    install_acme(site)
    install(site, "lines", "[syncfsm.sinks]\nlines = lines_sink:LINES\n", lines_sink=SINK)
    cli("sync", "--source", "acme", "--base-url", acme_url, "--sink", "lines:people")
    assert len((cli.folder / "people.jsonl").read_text().splitlines()) == PEOPLE
    _, err = cli("sync", "--source", "acme", "--base-url", acme_url, "--sink", "line:people", status=2)
    assert "choose from sqlite, jsonl, postgresql, quo, lines" in err


BROKEN = {
    "raises": ("broken_module:X", "1 / 0", "cannot be loaded: ZeroDivisionError in broken_module.py, line 1"),
    "is missing": ("nowhere:X", "", "cannot be loaded: ModuleNotFoundError (nowhere)"),
    "has no such name": ("broken_module:X", "Y = 1", "cannot be loaded: AttributeError"),
    "is something else": ("broken_module:X", "X = 1", "has not all of name, description"),
    "ends Python": (
        "broken_module:X",
        "raise SystemExit(7)",
        "cannot be loaded: SystemExit in broken_module.py, line 1",
    ),
    "has another name": (
        "broken_module:X",
        "import acme_syncfsm as a\nX = a.ACME",
        "has another name than its entry point, 'broken'",
    ),
    "is a class": (
        "broken_module:X",
        "from acme_syncfsm import Acme as X",
        "is a class; offer a value: Acme()",
    ),
    "has a key that is no name": (
        "broken_module:X",
        "import acme_syncfsm as a\nX = a.Acme()\nX.name, X.key_variable = 'broken', None",
        "has a key_variable that is no text; where there is no key, it is ''",
    ),
    "has no such way to page": (
        "broken_module:X",
        "import acme_syncfsm as a\nX = a.Acme()\nX.name = 'broken'\nX.pagination = 'pages'",
        "has the pagination 'pages', and not one of offset, page, cursor",
    ),
    "has no such order": (
        "broken_module:X",
        "import acme_syncfsm as a\nX = a.Acme()\nX.orders = ('first',)",
        "has the orders ('first',), and not some of newest, oldest, id",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_package_is_named_with_its_problem_and_hurts_nobody_else(
    cli: Cli, site: Path, acme_url: str, how: str
) -> None:
    value, code, problem = BROKEN[how]
    install(site, "broken", f"[syncfsm.sources]\nbroken = {value}\n", broken_module=code)
    install_acme(site)
    _, err = cli("sync", "--source", "broken", "--sink", "jsonl:x", status=2)
    assert "the source 'broken' of broken 1.0" in err
    assert problem in err
    assert "mend or uninstall that package" in err
    out, _ = cli("sources")
    assert problem in out
    assert "Acme: its people." in out
    cli("sync", "--source", "acme", "--base-url", acme_url, "--sink", "jsonl:people.jsonl")


TALKATIVE = """from acme_syncfsm import Acme
class X(Acme):
    name = "broken"
    def open(self, settings): raise TypeError(settings.key)
X = X()
"""


def test_a_package_that_fails_when_it_is_used_is_named_without_what_it_said(cli: Cli, site: Path) -> None:
    install_acme(site)
    install(site, "broken", "[syncfsm.sources]\nbroken = broken_module:X\n", broken_module=TALKATIVE)
    _, err = cli("sync", "--source", "broken", "--sink", "jsonl:x", status=2)
    assert "the source 'broken' of broken 1.0 cannot be used: TypeError in broken_module.py, line 4" in err
    assert KEY not in err


async def refuse(_: Scope) -> Reply:
    return json_reply({"message": "expired"}, 401)


def test_what_comes_next_names_the_key_and_the_command_of_a_package(cli: Cli, site: Path) -> None:
    install_acme(site)
    with served(asking_with_a_key(refuse, None)) as url:
        cli("sync", "--source", "acme", "--base-url", url, "--sink", "jsonl:people", status=1)
    explained, _ = cli("explain", "sync.db", status=1)
    assert "Set ACME_API_KEY to a key that the source accepts" in explained
    assert f"syncfsm sync --source acme --base-url {url} --object people --sink jsonl:people" in explained


def test_no_package_can_take_the_name_of_another(cli: Cli, site: Path) -> None:
    install_acme(site)
    install(site, "second", "[syncfsm.sources]\nacme = acme_syncfsm:ACME\nattio = acme_syncfsm:ACME\n")
    _, err = cli("sync", "--source", "acme", "--sink", "jsonl:x", status=2)
    assert "another package brings one of that name" in err
    by_package = {(s["name"], s["package"]): s["problem"] for s in cli.json("sources")["sources"]}
    assert by_package["attio", "syncfsm"] is None
    assert "syncfsm has one of that name" in (by_package["attio", "second 1.0"] or "")


def test_a_source_that_is_not_installed_is_refused_with_those_that_are(cli: Cli, site: Path) -> None:
    install_acme(site)
    _, err = cli("sync", "--source", "acne", "--sink", "jsonl:x", status=2)
    assert "no source is known as 'acne': choose from attio, axiscare, acme" in err


def test_the_clients_of_an_axiscare_agency_are_synced_and_what_comes_next_is_said(
    cli: Cli, site: Path
) -> None:
    with served(FakeAxisCare(World(1, people=PEOPLE, now=EPOCH))) as url:
        where = ("--source", "axiscare", "--base-url", url, "--sink", "sqlite:contacts.db")
        summary = cli.json("sync", *where)
    assert (summary["state"], summary["object"], summary["created"]) == ("COMPLETED", "clients", PEOPLE)
    assert rows(cli.folder / "contacts.db") == PEOPLE
    shown, _ = cli("log", "show", "sync.db")
    assert "more after the next cursor" in shown
    assert KEY not in shown
    failed = cli.json("sync", *where, "--fresh", "--set", "attempts_max=1", status=1)
    assert failed["failure"]["reason"] == "attempts_max"
    explained, _ = cli("explain", "sync.db", status=1)
    assert f"syncfsm sync --source axiscare --base-url {url} --sink sqlite:contacts.db" in explained


def test_an_agency_has_to_be_named_and_only_its_clients_can_be_asked_for(cli: Cli, site: Path) -> None:
    _, err = cli("sync", "--source", "axiscare", "--sink", "jsonl:x", status=2)
    assert "give --base-url" in err
    url = ("--base-url", "http://127.0.0.1:9")
    _, err = cli("sync", "--source", "axiscare", *url, "--object", "leads", "--sink", "jsonl:x", status=2)
    assert "only clients can be synced, not 'leads'" in err
    _, err = cli("sync", "--source", "axiscare", *url, "--order", "newest", "--sink", "jsonl:x", status=2)
    assert "cannot give its records in the order 'newest': choose id" in err
