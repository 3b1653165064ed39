"""The door by which sources and sinks come in: only what is asked for is loaded, and told what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import syncfsm
from syncfsm import plugins
from syncfsm.errors import ConfigurationError
from syncfsm.sinks import Failure, SinkSettings
from syncfsm.sources import AxisCareClients, SourceSettings
from syncfsm.sources.factory import SOURCES
from tests.fakes import TestClock

KEY = "a-secret-key-of-acme-1"

SOURCE = """
from syncfsm.sources import NumberedApi, NumberedSource

API = NumberedApi(service="Acme", kind="acme", path="/people", rows="people", orders={"id": {}})

class Acme:
    name, description, key_variable, pagination, orders = "NAME", "Acme.", "ACME_API_KEY", "page", ("id",)

    def open(self, settings):
        assert "SECRET" not in repr(settings)
        return NumberedSource(
            API, settings.key, base_url="http://acme.test", clock=settings.clock, transport=settings.transport
        )

    def transform(self, source, settings):
        return settings.more["transform"]

ACME = Acme()
""".replace("SECRET", KEY)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Lay out a package of one module, as pip would; its source is the value `ACME`."""
    monkeypatch.syspath_prepend(tmp_path)

    def lay_out(name: str, module: str, code: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[syncfsm.sources]\n{name} = {module}:ACME\n")
        plugins._installed.cache_clear()
        (tmp_path / f"{module}.py").write_text(code)

    return lay_out


def test_a_source_that_heeds_no_account_is_not_opened_for_one(
    install: Callable[[str, str, str], None],
) -> None:
    install("acme", "deaf_acme_module", SOURCE.replace("NAME", "acme"))
    with pytest.raises(ConfigurationError, match="the source acme cannot tell accounts apart"):
        syncfsm.open_source("acme", key=KEY, account="globex", more={"transform": AxisCareClients})
    hearing = SOURCE.replace("settings.key,", "settings.key, account=settings.account,")
    install("hearing", "hearing_module", hearing.replace("NAME", "hearing").replace('"acme"', '"hearing"'))
    opened = syncfsm.open_source("hearing", key=KEY, account="globex", more={"transform": AxisCareClients})
    assert opened.source.kind == "hearing@globex"


def test_asking_for_one_package_runs_no_other(install: Callable[[str, str, str], None]) -> None:
    install("acme", "good_acme_module", SOURCE.replace("NAME", "acme"))
    install("wild", "wild_module", "raise KeyboardInterrupt")
    assert SOURCES.find("acme").name == "acme"
    assert "wild" in SOURCES.names()
    with pytest.raises(KeyboardInterrupt):
        SOURCES.installed()


def test_what_a_package_says_when_it_cannot_be_loaded_is_not_repeated(
    install: Callable[[str, str, str], None],
) -> None:
    install("acme", "talking_module", f"raise ValueError({KEY!r})")
    with pytest.raises(
        syncfsm.ConfigurationError, match=r"ValueError in talking_module.py, line 1"
    ) as caught:
        SOURCES.find("acme")
    assert KEY not in str(caught.value)


def test_a_source_is_opened_with_the_key_of_its_variable_or_the_one_given_and_all_that_it_is_told(
    install: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", "opened_acme_module", SOURCE.replace("NAME", "acme"))
    monkeypatch.setenv("ACME_API_KEY", "the-key-of-the-environment")
    keys: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Authorization"])
        return httpx.Response(200, json={"people": [], "total": 0})

    told = {"clock": TestClock(), "transport": httpx.MockTransport(respond), "more": {"transform": len}}
    for key in (None, KEY):
        source, transform = syncfsm.open_source("acme", key=key, **told)
        assert asyncio.run(source.check()) == {"object": "people"}
        assert transform is len  # type: ignore[comparison-overlap]
    assert keys == ["Bearer the-key-of-the-environment", f"Bearer {KEY}"]


def test_a_source_whose_kind_is_not_its_name_is_refused(install: Callable[[str, str, str], None]) -> None:
    install("other", "other_acme_module", SOURCE.replace("NAME", "other"))
    with pytest.raises(syncfsm.ConfigurationError, match="the source other opens one whose kind is 'acme'"):
        syncfsm.open_source("other", key=KEY, more={"transform": len})


def test_sources_whose_urls_are_written_in_other_ways_are_one() -> None:
    for name in ("attio", "axiscare"):
        urls = ("HTTPS://A.Example/", "https://a.example")
        assert {syncfsm.open_source(name, key=KEY, base_url=url).source.name for url in urls} == {
            f"{name}:https://a.example"
        }
    assert syncfsm.open_source("attio", key=KEY, base_url="https://API.attio.com/").source.name == "attio"


def test_an_object_that_is_an_empty_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the object is an empty text"):
        syncfsm.open_source("attio", key=KEY, object="")


def test_our_own_sources_come_through_the_same_door() -> None:
    source, transform = syncfsm.open_source("axiscare", key=KEY, base_url="https://a.axiscare.com")
    assert (source.kind, source.name) == ("axiscare", "axiscare:https://a.axiscare.com")
    assert isinstance(transform, AxisCareClients)


def test_quo_is_opened_through_the_same_door_with_what_it_alone_can_be_told() -> None:
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(401)

    sink = syncfsm.open_sink(
        "quo:",
        key=KEY,
        clock=TestClock(),
        transport=httpx.MockTransport(respond),
        more={"require_phone": True, "default_region": "US"},
    )
    assert isinstance(asyncio.run(sink.check()), Failure)
    assert KEY in asked[0].headers["Authorization"]


@pytest.mark.parametrize("url", ["sqlite:contacts.db", "jsonl:people.jsonl", "quo:"])
def test_a_sink_refuses_what_it_does_not_understand(url: str) -> None:
    with pytest.raises(syncfsm.ConfigurationError, match="knows nothing of colour"):
        syncfsm.open_sink(url, key=KEY, more={"colour": "red"})


def test_settings_do_not_show_a_key() -> None:
    assert KEY not in repr(SourceSettings(key=KEY))
    assert KEY not in repr(SinkSettings(key=KEY, where=f"https://{KEY}@quo.test"))
