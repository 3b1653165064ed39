"""The results as tables of Markdown; cog puts them into docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.pulls.results import Results
from benchmarks.pulls.speed import Measured, Pull, Scenario
from benchmarks.turns import Spread

NOT_MEASURED = "\nNot measured.\n\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, the first column to the left and the others to the right."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ruler, *rows)]
    return "\n" + "\n".join(lines) + "\n\n" if len(lines) > 2 else NOT_MEASURED


def all_tables(results: Results) -> str:
    """Return every table under its name."""
    parts = {
        "Whole pulls": near(results),
        "People lost": moved(results),
        "Pages that are cut": cut(results),
        "A 429 with a date": refused(results),
        "Growth": growing(results),
        "Deep offsets": deep(results),
        "What moving rows cost": costs(results),
        "Logs": logs(results),
        "The simulator": simulated(results),
    }
    return "".join(f"## {name}\n{text}" for name, text in parts.items() if text != NOT_MEASURED)


def near(results: Results) -> str:
    """Return what whole pulls took, a table for each scenario."""
    return "".join(_title(one.scenario) + _pulls(one) for one in results.near) or NOT_MEASURED


def _title(scenario: Scenario) -> str:
    wait = f"{scenario.latency_ms} ms for each answer"
    return f"\n{scenario.people:,} people, {scenario.page_size} a page, {wait}, {scenario.turns} turns:\n"


def _pulls(measured: Measured) -> str:
    if not measured.pulls:
        return NOT_MEASURED
    first = measured.pulls[0]
    head = ("who", "seconds", "ratio", "seconds of CPU", "ratio", "peak MiB", "ratio")
    return table(head, ([_named(pull), *_figures(pull, first)] for pull in measured.pulls))


def _named(pull: Pull) -> str:
    version = f" ({pull.version})" if pull.version else ""
    return f"{pull.name}{version}{_failed(pull)}"


def _failed(pull: Pull) -> str:
    return f"; {pull.failed} more failed" if pull.failed else ""


def _figures(pull: Pull, first: Pull) -> list[str]:
    cells = []
    for ours, theirs, form in (
        (first.wall_s, pull.wall_s, ".2f"),
        (first.cpu_s, pull.cpu_s, ".2f"),
        (first.peak_mb, pull.peak_mb, ",.0f"),
    ):
        cells += [_cell(theirs, form), f"{theirs.median / ours.median:.2f}x"]
    return cells


def _cell(spread: Spread, form: str) -> str:
    if spread.least == spread.most:
        return f"{spread.median:{form}}"
    return f"{spread.median:{form}} ({spread.least:{form}}-{spread.most:{form}})"


def growing(results: Results) -> str:
    """Return how time and memory grow with the people."""
    return _beside_linear(results.growing)


def deep(results: Results) -> str:
    """Return the same where each row before a page costs time."""
    return _beside_linear(results.deep)


def _beside_linear(all_measured: Sequence[Measured]) -> str:
    """Return time and memory for each number of people, and the time beside that of the fewest, scaled."""
    if not all_measured:
        return NOT_MEASURED
    first: dict[str, Pull] = {}
    rows = []
    for measured in all_measured:
        for pull in measured.pulls:
            least = first.setdefault(pull.name, pull)
            grown = (pull.wall_s.median / least.wall_s.median) / (pull.people / least.people)
            per_s = f"{pull.people / pull.wall_s.median:,.0f}"
            took = [_cell(pull.wall_s, ".2f"), per_s, f"{grown:.2f}x", _cell(pull.cpu_s, ".2f")]
            rows.append([f"{pull.people:,}", pull.name + _failed(pull), *took, _cell(pull.peak_mb, ",.0f")])
    head = ("people", "who", "seconds", "people a second", "beside linear", "seconds of CPU", "peak MiB")
    return table(head, rows)


def moved(results: Results) -> str:
    """Return who lost whom."""
    head = ("who", "queries", "stayed from first to last", "of them lost", "there twice", "says it went well")
    return table(
        head,
        (
            [
                one.name,
                str(one.queries),
                f"{one.stayed:,}",
                str(one.lost),
                str(one.twice),
                _yes(one.says_well),
            ]
            for one in results.moved
        ),
    )


def cut(results: Results) -> str:
    """Return who got how many."""
    head = ("who", "got", "queries", "says it went well")
    return table(
        head,
        (
            [one.name, f"{one.got} of {one.people}", str(one.queries), _yes(one.says_well)]
            for one in results.cut
        ),
    )


def refused(results: Results) -> str:
    """Return who waited."""
    head = ("who", "queries before the moment named", "seconds after it", "got", "says it went well")
    return table(
        head,
        (
            [
                one.name,
                str(one.early),
                "never came" if one.came_after_s is None else f"{one.came_after_s:.1f}",
                f"{one.got} of {one.people}",
                _yes(one.says_well),
            ]
            for one in results.refused
        ),
    )


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def costs(results: Results) -> str:
    """Return what moving rows cost this library."""
    head = (
        "requests under way",
        "before each query",
        "queries a page",
        "seconds",
        "beside still rows",
        "lost",
    )
    return table(
        head,
        (
            [
                one.reading,
                one.moves,
                f"{one.queries_per_page:.2f}",
                f"{one.wall_s:.2f}",
                f"{one.times_still:.2f}x",
                str(one.lost),
            ]
            for one in results.costs
        ),
    )


def simulated(results: Results) -> str:
    """Return how fast virtual time passes."""
    head = ("scenario", "people", "requests", "virtual seconds", "virtual seconds a second")
    return table(
        head,
        (
            [
                one.scenario,
                f"{one.people:,}",
                f"{one.requests:,}",
                f"{one.virtual_s:.1f}",
                _cell(one.virtual_s_per_s, ".1f"),
            ]
            for one in results.simulated
        ),
    )


def logs(results: Results) -> str:
    """Return how fast logs are replayed and written."""
    head = ("log", "who", "replay, events a second of CPU", "ratio", "append, events a second", "ratio")
    rows = []
    for result in results.logs:
        ours = result.measured[0]
        for one in result.measured:
            replay, append = one.replay_events_per_cpu_s.median, one.append_events_per_s.median
            replayed = f"{ours.replay_events_per_cpu_s.median / replay:.1f}x"
            appended = f"{ours.append_events_per_s.median / append:.1f}x"
            rows.append([result.workload, one.name, f"{replay:,.0f}", replayed, f"{append:,.0f}", appended])
    return table(head, rows)
