"""The fake's answers against Attio's published OpenAPI document: `make conformance ATTIO_OPENAPI=FILE`."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from syncfsm_simulator.fakes.attio.routes import ROUTES, Route
from tests.conformance.asking import Ask, Asker, any_asks, whole_talks
from tests.conformance.published import EXCEPTIONS, Published

PATH = os.environ.get("ATTIO_OPENAPI")
REQUESTS_MIN = 2000

pytestmark = pytest.mark.skipif(
    not PATH, reason="Attio's OpenAPI document is not in this repository: name its path in ATTIO_OPENAPI"
)


@pytest.fixture(scope="module")
def published() -> Published:
    assert PATH
    return Published(Path(PATH))


def test_no_answer_to_thousands_of_requests_violates_the_document(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[tuple[str, str, int]] = Counter()
    drawn = any_asks(published.bodies)

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(whole_talks(drawn))
    def run(requests: list[Ask]) -> None:
        for answer in Asker().send_all(requests):
            seen[answer.ask.route.method, answer.ask.route.name, answer.response.status_code] += 1
            assert published.problems(answer) == [], (answer.ask, answer.path, answer.response.text[:500])

    run()
    with capsys.disabled():
        click.echo(f"\n{seen.total()} requests, 0 violations; exceptions used: {dict(published.used)}")
        for (method, name, status), count in sorted(seen.items()):
            click.echo(f"{count:6} {status} {method} {name}")
    assert seen.total() >= REQUESTS_MIN
    for route in ROUTES:
        assert seen[route.method, route.name, 200], f"{route.method} {route.name} was never answered 200"
    assert set(published.used) == set(EXCEPTIONS), "an exception that is not needed is not to be made"


def test_what_is_not_served_is_a_404_in_attios_words(published: Published) -> None:
    unserved = published.unserved(ROUTES)
    assert len(unserved) > 20
    requests = [
        Ask(Route(method, re.sub(r"{[^}]+}", "x", path), "", None), {}, {}, {}, "all")
        for method, path in unserved
    ]
    for answer in Asker(reads_per_s=1000).send_all(requests):
        refused(answer.ask.route, answer.response)


def refused(route: Route, response: httpx.Response) -> None:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["code"]) == (404, "not_found")
    assert (
        body["message"] == f'Could not find endpoint "{route.method} {route.name}".'
        or "not found" in body["message"]
    )
