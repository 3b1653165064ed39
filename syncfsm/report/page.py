"""Columns as one HTML file, from which nothing can get out and into which nothing can get.

What people typed into their CRM is in here: ids, reasons, errors. It is put into the page as JSON without a
single `<`, and the script puts it on the screen as text only. The Content-Security-Policy allows the script
and the styles of this page, by their digests, and nothing else: no request, no other script, no form, and no
markup made from text.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib import resources
from string import Template
from typing import Any

import msgspec

from syncfsm.core.value import Value
from syncfsm.explain import Section
from syncfsm.report.columns import Columns
from syncfsm.report.overview import Overview

GENERATOR = "syncfsm report"
"""What the page says of its origin; by this a report is known again."""

_SCRIPTS = ("dom", "columns", "charts", "events", "slider", "process", "overview", "main")
_ASSETS = resources.files("syncfsm.report") / "assets"


class Shown(Value, frozen=True):
    """A process that a page shows in full, and the account of it in words."""

    columns: Columns
    account: tuple[Section, ...]


def page(log_name: str, shown: Sequence[Shown], overview: Overview | None = None) -> str:
    """Return the whole page.

    Args:
        log_name: What to call the log.
        shown: The processes to show in full; the only one if there is no overview.
        overview: All processes of the log.
    """
    styles = [_asset("uplot/uPlot.min.css"), _asset("report.css")]
    script = _script()
    return Template(_asset("template.html")).substitute(
        policy=_policy(script, styles),
        generator=GENERATOR,
        title=escape(_title(log_name, shown, overview)),
        chart_style=styles[0],
        style=styles[1],
        data="\n".join(_data_blocks(log_name, shown, overview)),
        script=script,
    )


def _title(log_name: str, shown: Sequence[Shown], overview: Overview | None) -> str:
    return log_name if overview else f"{shown[0].columns.process} in {log_name}"


def _script() -> str:
    """Return the chart library, under its licence, and this page's own script, in a scope of its own."""
    licence = _asset("uplot/LICENSE")
    own = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return (
        f'/*!\n{licence}\n*/\n{_asset("uplot/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{own}\n}})();\n'
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _policy(script: str, styles: Sequence[str]) -> str:
    """Return the Content-Security-Policy (https://www.w3.org/TR/CSP3/) of a page."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_source(script)}",
            f"style-src {' '.join(map(_source, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _data_blocks(log_name: str, shown: Sequence[Shown], overview: Overview | None) -> list[str]:
    """Return the page's data: what it is of, then a block for each process, read when it is looked at."""
    ids = [one.columns.process for one in shown]
    about = {"log": log_name, "shown": ids, "overview": overview}
    blocks = [("data", about), *((f"data-{index}", one) for index, one in enumerate(shown))]
    return [f'<script type="application/json" id="{name}">{_json(value)}</script>' for name, value in blocks]


def _json(value: Any) -> str:
    """Return JSON that HTML reads as nothing but text: these characters occur in its strings alone."""
    text = msgspec.json.encode(value).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
