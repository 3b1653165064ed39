"""Attio's published OpenAPI document as a judge of the fake's answers.

The document is Attio's and is not in this repository: its path comes from the environment. Where it
contradicts traffic that was recorded, the fake follows the traffic; each such place is an exception here,
named, with its reason, and as narrow as it can be.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from syncfsm_simulator.fakes.attio.routes import Route
from tests.conformance.asking import Answer
from tests.conformance.drawing import allowed
from tests.conformance.shapes import ERROR

EXCEPTIONS = {
    "nullable": "`nullable: true` is OpenAPI 3.0, not 3.1, and enums leave out the null that their type has; "
    "it is meant, and nulls were recorded.",
    "timestamp": "A timestamp's value has `format: date`; every recorded one has its time as well.",
    "code": "A 400 has one code in the document; others were recorded, or are in its later versions.",
    "status": "401, 403, 429, and some 400s, 404s and 409s are recorded, in the guides or in its later "
    "versions, but not declared.",
    "merge": "Merging records is in later versions of the document only.",
}

CODES = {
    "records/query": {"unknown_filter_attribute_slug", "validation_type"},
    "records": {
        "validation_type",
        "immutable_value",
        "uniqueness_conflict",
        "missing_value",
        "multiple_match_results",
    },
    "records/{record}": {"validation_type", "immutable_value", "uniqueness_conflict", "value_not_found"},
}
"""The codes of 400s beside the document's, by the end of the route."""

UNDECLARED = {400, 401, 403, 404, 409, 429}

_FORMATS = {
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "date": r"\d{4}-\d\d-\d\d",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "uri": r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]+",
}


def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, pattern in _FORMATS.items():
        checker.checks(name)(
            lambda value, pattern=pattern: not isinstance(value, str) or bool(re.fullmatch(pattern, value))
        )
    return checker


class Published:
    """The document.

    Attributes:
        used: How often each exception was needed; corrections of the document, whether they were at all.
    """

    def __init__(self, path: Path) -> None:
        self.used: Counter[str] = Counter()
        self._document = json.loads(path.read_text())
        self._checker = _format_checker()
        self._validators: dict[tuple[str, str, str, str], Draft202012Validator] = {}

    def operation(self, route: Route) -> tuple[str, dict[str, Any]] | None:
        """Return the document's path and operation for a route, if it has one."""
        concrete = re.sub(
            r"{\w+}", "x", route.name.replace("/v2/objects/{object}/attributes", "/v2/objects/x/attributes")
        )
        fitting = [
            path
            for path, item in self._document["paths"].items()
            if route.method.lower() in item and re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", path), concrete)
        ]
        if not fitting:
            return None
        path = min(fitting, key=lambda path: path.count("{"))
        return path, self._document["paths"][path][route.method.lower()]

    def unserved(self, routes: tuple[Route, ...]) -> list[tuple[str, str]]:
        """Return method and path of everything that the document has and the fake does not serve."""
        served = {(route.method, found[0]) for route in routes if (found := self.operation(route))}
        return [
            (method.upper(), path)
            for path, item in self._document["paths"].items()
            for method in item
            if (method.upper(), path) not in served
        ]

    def bodies(self, route: Route) -> st.SearchStrategy[Any] | None:
        """Return bodies that the document allows."""
        found = self.operation(route)
        if found is None or "requestBody" not in found[1]:
            return None
        return allowed(found[1]["requestBody"]["content"]["application/json"]["schema"])

    def problems(self, answer: Answer) -> list[str]:
        """Return everything that the document has against an answer."""
        if answer.response.headers["content-type"].partition(";")[0] != "application/json":
            return ["the answer is no JSON"]
        found = self.operation(answer.ask.route)
        if found is None:
            return (
                self._excused("merge", answer)
                if answer.ask.route.name.endswith("/merge")
                else ["no operation"]
            )
        path, operation = found
        status, body = answer.response.status_code, answer.response.json()
        if str(status) not in operation["responses"]:
            return self._excused("status", answer) if status in UNDECLARED else [f"{status} is not declared"]
        key = (answer.ask.route.method, path, str(status))
        problems = list(self._validator(*key).iter_errors(body))
        for correction in CORRECTIONS:
            if not problems and not self.used[correction]:
                self.used[correction] += not self._validator(*key, without=correction).is_valid(body)
        if problems and all(list(problem.path) == ["code"] for problem in problems):
            return self._code(answer, body["code"])
        return [f"{'/'.join(map(str, problem.path))}: {problem.message[:200]}" for problem in problems]

    def _code(self, answer: Answer, code: str) -> list[str]:
        allowed = next((codes for end, codes in CODES.items() if answer.ask.route.name.endswith(end)), set())
        if answer.response.status_code == 400 and code in allowed:
            self.used["code"] += 1
            return []
        return [f"{answer.response.status_code} has the code {code}"]

    def _excused(self, name: str, answer: Answer) -> list[str]:
        """Return what is wrong with an answer that the document does not know at all."""
        self.used[name] += 1
        if answer.response.status_code < 300:
            return []
        return [
            problem.message for problem in Draft202012Validator(ERROR).iter_errors(answer.response.json())
        ]

    def _validator(self, method: str, path: str, status: str, without: str = "") -> Draft202012Validator:
        """Return the judge of one kind of answer, with the document corrected, but for one correction."""
        key = (method, path, status, without)
        if key not in self._validators:
            content = self._document["paths"][path][method.lower()]["responses"][status]["content"]
            schema = {**content["application/json"]["schema"], "components": self._document["components"]}
            for name, correct in CORRECTIONS.items():
                schema = schema if name == without else _everywhere(schema, correct)
            self._validators[key] = Draft202012Validator(schema, format_checker=self._checker)
        return self._validators[key]


def _everywhere(schema: Any, correct: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a schema with each of its parts corrected."""
    if isinstance(schema, list):
        return [_everywhere(inner, correct) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return correct({name: _everywhere(inner, correct) for name, inner in schema.items()})


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    type_, enum = schema.get("type"), schema.get("enum")
    if isinstance(type_, list) and "null" in type_ and enum and None not in enum:
        return {**schema, "enum": [*enum, None]}
    is_meant = schema.get("nullable") is True and isinstance(type_, str)
    return {**schema, "type": [type_, "null"]} if is_meant else schema


def _timestamp(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    if properties.get("attribute_type", {}).get("enum") != ["timestamp"]:
        return schema
    return {**schema, "properties": {**properties, "value": {"type": "string", "format": "date-time"}}}


CORRECTIONS = {"nullable": _nullable, "timestamp": _timestamp}
"""What those exceptions make of a part of the document."""
