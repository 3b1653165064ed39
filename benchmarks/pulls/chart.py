"""The chart in docs: bars of seconds and of people lost, as an SVG that follows light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.pulls.results import Results

WIDTH, LABEL, BAR, ROW, GAP = 760, 190, 460, 24, 46
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.bar { fill: #6e7681 }
.ours { fill: #4493f8 }
}"""

Bars = Sequence[tuple[str, float, str]]
"""The name of each bar, how long it is, and what stands behind it."""


def chart(results: Results) -> str:
    """Return the chart: a panel for each scenario, and one for who was lost."""
    panels: list[tuple[str, Bars]] = []
    for measured in results.near:
        of = measured.scenario
        title = f"Seconds for {of.people:,} people, {of.page_size} a page, {of.latency_ms} ms for each answer"
        bars = [(pull.name, pull.wall_s.median, f"{pull.wall_s.median:.1f}") for pull in measured.pulls]
        panels.append((title, bars))
    if results.moved:
        title = "People lost while 3 go and 1 comes before each query"
        lost = [(one.name, one.lost, f"{one.lost} of {one.stayed:,}") for one in results.moved]
        panels.append((title, lost))
    return svg(panels)


def svg(panels: Sequence[tuple[str, Bars]]) -> str:
    """Return panels of bars, one below the other."""
    drawn, top = [], 0
    for title, bars in panels:
        drawn.append(f'<text class="title" x="10" y="{top + 26}">{escape(title)}</text>')
        most = max((length for _, length, _ in bars), default=0) or 1
        for index, (name, length, behind) in enumerate(bars):
            y = top + 38 + index * ROW
            drawn += _bar(name, length / most * BAR, behind, y)
        top += GAP + len(bars) * ROW
    size = f'width="{WIDTH}" height="{top + 8}" viewBox="0 0 {WIDTH} {top + 8}"'
    inner = "\n".join(drawn)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{STYLE}\n</style>\n{inner}\n</svg>\n'


def _bar(name: str, length: float, behind: str, y: int) -> list[str]:
    kind = "bar ours" if name.startswith("syncfsm") else "bar"
    size = f'width="{max(length, 1):.1f}" height="{ROW - 8}"'
    return [
        f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{LABEL}" y="{y + 3}" {size} rx="2"/>',
        f'<text x="{LABEL + length + 6:.1f}" y="{y + 15}">{escape(behind)}</text>',
    ]
