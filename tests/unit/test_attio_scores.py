"""Score limits: a query that costs too much, and too much in ten seconds. Paths, and what they cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncfsm_simulator.fakes.attio.rates import ScoreLimit, score_of
from syncfsm_simulator.world.clock import EPOCH
from tests.unit.test_attio_writes import PEOPLE, Client

SORTED = {"sorts": [{"direction": "desc", "attribute": "created_at"}]}


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def test_a_plain_query_costs_nothing_and_more_sorts_filters_and_records_cost_more() -> None:
    one, two = {"name": "x"}, {"$and": [{"name": "x"}, {"$not": {"job_title": "y"}}]}
    assert score_of({}, 10**6) == score_of({"limit": 5, "offset": 3}, 10**6) == 0
    assert 0 < score_of(SORTED, 5000) < score_of(SORTED, 50_000)
    assert score_of({"filter": one}, 5000) < score_of({"filter": two}, 5000)
    assert score_of({"filter": two}, 5000) < score_of({"filter": two, **SORTED}, 5000)


def test_an_answer_says_what_the_query_cost() -> None:
    client = Client(people=1500)
    for body in ({}, SORTED):
        answer = client("POST", f"{PEOPLE}/query", body)
        assert answer.headers["x-attio-record-query-score"] == str(score_of(body, 1500))


def test_a_query_that_costs_too_much_is_a_429_that_no_waiting_cures() -> None:
    client = Client(people=1500, score_query_max=1)
    for _ in range(3):
        answer = client("POST", f"{PEOPLE}/query", SORTED)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"].endswith("GMT")
        client.clock.at += timedelta(minutes=10)
    assert client("POST", f"{PEOPLE}/query", {}).status_code == 200


def test_ten_seconds_of_queries_are_summed_up_and_the_window_slides() -> None:
    limit = ScoreLimit(None, 30, 0)
    assert [limit.refuse(10, at(second)) for second in (0, 4, 8)] == [None] * 3
    assert limit.refuse(10, at(9)) == at(11)
    assert limit.refuse(0, at(9)) is None, "what costs nothing is never refused for it"
    assert limit.refuse(10, at(11)) is None
    assert limit.refuse(20, at(12)) == at(19)


def test_after_ten_seconds_to_the_moment_a_score_is_forgotten() -> None:
    limit = ScoreLimit(None, 10, 0)
    assert [limit.refuse(10, at(second)) for second in (0, 9.999, 10)] == [None, at(11), None]


def test_other_apps_of_the_workspace_use_up_the_same_score() -> None:
    assert ScoreLimit(None, 30, 0).refuse(10, at(0)) is None
    assert ScoreLimit(None, 30, 2.5).refuse(10, at(0)) == at(1)


SPENDING = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20)), min_size=1, max_size=60)


@given(SPENDING)
def test_no_ten_seconds_ever_cost_more_than_allowed_and_coming_again_as_told_helps(
    spending: list[tuple[float, int]],
) -> None:
    limit, now, granted = ScoreLimit(None, 40, 0), EPOCH, []
    for wait_s, score in spending:
        now += timedelta(seconds=wait_s)
        retry_at = limit.refuse(score, now)
        if retry_at is not None:
            assert retry_at > now
            now = retry_at
            assert limit.refuse(score, now) is None
        granted.append((now, score))
    for moment, _ in granted:
        window = [score for when, score in granted if moment <= when < moment + timedelta(seconds=10)]
        assert sum(window) <= 40


# ── paths ────────────────────────────────────────────────────────────────────────────────────

PATH = [["people", "company"], ["companies", "name"]]


@pytest.fixture
def client() -> Client:
    return Client(people=40)


def company_names(client: Client, rows: list[dict[str, Any]]) -> list[str | None]:
    companies = client.world.entities("companies")
    found = []
    for row in rows:
        held = row["values"]["company"]
        names = companies[held[0]["target_record_id"]].active("name") if held else []
        found.append(names[0]["value"] if names else None)
    return found


def test_people_are_filtered_by_the_name_of_their_company_and_follow_when_it_changes(client: Client) -> None:
    company = next(each for each in client.world.entities("companies").values() if each.values["name"])
    query = {"filter": {"path": PATH, "constraints": {"value": company.values["name"][0]["value"]}}}
    rows = client("POST", f"{PEOPLE}/query", query).json()["data"]
    assert 0 < len(rows) < 40
    assert set(company_names(client, rows)) == {company.values["name"][0]["value"]}
    client(
        "PATCH", f"/v2/objects/companies/records/{company.record_id}", {"data": {"values": {"name": "New"}}}
    )
    assert client("POST", f"{PEOPLE}/query", query).json()["data"] == []


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_people_are_sorted_by_the_name_of_their_company(client: Client, direction: str) -> None:
    query = {"sorts": [{"direction": direction, "path": PATH}]}
    names = company_names(client, client("POST", f"{PEOPLE}/query", query).json()["data"])
    known = [name for name in names if name is not None]
    assert known == sorted(known, reverse=direction == "desc")
    assert names.index(None) == (len(known) if direction == "asc" else 0)


def test_a_reference_to_somebody_who_is_gone_leads_nowhere(client: Client) -> None:
    person = min(client.world.entities("people"))
    companies = "/v2/objects/companies/records"
    client("POST", companies, {"data": {"values": {"team": [person]}}})
    client.world.delete_person(person)
    path = [["companies", "team"], ["people", "job_title"]]
    answer = client("POST", f"{companies}/query", {"sorts": [{"direction": "asc", "path": path}]})
    assert (answer.status_code, len(answer.json()["data"])) == (200, 3)
    answer = client("POST", f"{companies}/query", {"filter": {"path": path, "constraints": "CEO"}})
    assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ([], []),
        ("name", []),
        ([["people", "nonsense"]], ["0", "1"]),
        ([["deals", "name"]], ["0", "0"]),
        ([["companies", "name"]], ["0"]),
        ([["people", "name"], ["companies", "name"]], ["1"]),
        ([["people"]], ["0"]),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_its_place(
    client: Client, path: Any, where: list[str]
) -> None:
    answer = client("POST", f"{PEOPLE}/query", {"sorts": [{"direction": "asc", "path": path}]})
    assert answer.status_code == 400
    body = answer.json()
    place = body["path"] if "path" in body else body["validation_errors"][0]["path"]
    assert place == ["sorts", "0", "path", *where]


def test_a_field_that_the_type_does_not_have_is_refused(client: Client) -> None:
    sort = {"sorts": [{"direction": "asc", "attribute": "name", "field": "middle_name"}]}
    for body in (sort, {"filter": {"name": {"middle_name": "x"}}}):
        answer = client("POST", f"{PEOPLE}/query", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "filter_error")
        assert "Invalid field 'middle_name' for attribute of type 'personal-name'" in answer.json()["message"]


@pytest.mark.parametrize("attribute", ["categories", "employee_range"])
def test_companies_are_sorted_and_found_by_their_options(attribute: str) -> None:
    client = Client()
    path = "/v2/objects/companies/records"
    for title in ("Software", "Food"):
        client("POST", path, {"data": {"values": {"categories": [title]}}})
    query = {"sorts": [{"direction": "asc", "attribute": attribute}]}
    rows = client("POST", f"{path}/query", query).json()["data"]
    options = [row["values"][attribute][0]["option"] for row in rows if row["values"][attribute]]
    titles = [option["title"] for option in options]
    assert titles == sorted(titles)
    for option in options:
        for wanted in (option["title"], option["id"]["option_id"]):
            found = client("POST", f"{path}/query", {"filter": {attribute: wanted}}).json()["data"]
            assert {row["values"][attribute][0]["option"]["title"] for row in found} == {option["title"]}
