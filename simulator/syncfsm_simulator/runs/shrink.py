"""From a seed that fails to the fewest strikes that still fail: delta debugging over the script of a run.

What strikes at a visit, and how, does not depend on what else strikes, so leaving one out changes little but
its own effects. See Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (2002).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from syncfsm.log import open_log
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.runs.sweep import run_seed
from syncfsm_simulator.stage.faults import ChangeRates, FaultRates
from syncfsm_simulator.stage.scenario import Scenario, concrete

EARLIER_TRIES = 8
"""Earlier visits that are tried for one strike."""

SOONER_MAX = 3
"""How many visits sooner strikes are tried when one before them is left out."""

RUNS_MAX = 400
"""Runs that one shrinking may take; what has been found by then is what it returns."""


def shrink(scenario: Scenario, seed: int, *, on_run: Callable[[Scenario], None] = lambda _: None) -> Scenario:
    """Return the smallest scenario found that breaks one of the invariants which this seed breaks.

    The seed is in it, and every strike is listed; rates are all 0. Where the failure cannot be written
    down as a script (the engine failed in a way nobody foresaw), the seed's own situation is returned.
    """
    drawn = concrete(scenario, seed)
    wanted = _broken(drawn)
    script = _script(drawn)
    trials = _Trials(wanted, on_run)
    if script is None or not trials.fails(script):
        return drawn
    smaller = _smaller(script, trials)
    while smaller != script:
        script, smaller = smaller, _smaller(smaller, trials)
    return replace(script, about=f"Shrunk from seed {seed}: breaks {', '.join(sorted(_broken(script)))}.")


def _smaller(scenario: Scenario, trials: _Trials) -> Scenario:
    fewer = _fewer_strikes(scenario, trials)
    return _fewer_people(_earlier_strikes(fewer, trials), trials)


class _Trials:
    """Runs scenarios to see whether they still fail, each once, as long as the budget lasts."""

    def __init__(self, wanted: set[str], on_run: Callable[[Scenario], None]) -> None:
        self._wanted = wanted
        self._on_run = on_run
        self._left = RUNS_MAX
        self._known: dict[Scenario, bool] = {}

    def fails(self, scenario: Scenario) -> bool:
        if scenario not in self._known:
            if not self._left:
                return False
            self._left -= 1
            self._on_run(scenario)
            self._known[scenario] = bool(_broken(scenario) & self._wanted)
        return self._known[scenario]


def _broken(scenario: Scenario) -> set[str]:
    return {violation.invariant for violation in run_seed(scenario, scenario.seed).violations}


def _script(scenario: Scenario) -> Scenario | None:
    """Return the scenario with everything that struck written down, and nothing left to chance."""
    try:
        with open_log(":memory:") as log:
            strikes = simulate(scenario, scenario.seed, log).strikes
    except Exception:  # noqa: BLE001 - the run did not live to tell
        return None
    return replace(scenario, faults=FaultRates(), changes=ChangeRates(), strikes=strikes)


def _fewer_strikes(scenario: Scenario, trials: _Trials) -> Scenario:
    """Leave out strikes, in ever smaller pieces, as long as it still fails."""
    size = len(scenario.strikes)
    while size:
        start = 0
        while start < len(scenario.strikes):
            fewer = _without(scenario, start, size, trials)
            start += size if fewer is None else 0
            scenario = fewer or scenario
        size //= 2
    return scenario


def _without(scenario: Scenario, start: int, size: int, trials: _Trials) -> Scenario | None:
    """Return the scenario without a piece of its strikes, if it still fails.

    A strike that fails costs visits, so without a single one the later ones may have to come earlier.
    """
    before, after = scenario.strikes[:start], scenario.strikes[start + size :]
    for sooner in range(SOONER_MAX + 1 if size == 1 else 1):
        moved = tuple(replace(strike, at=max(0, strike.at - sooner)) for strike in after)
        fewer = replace(scenario, strikes=(*before, *moved))
        if trials.fails(fewer):
            return fewer
    return None


def _earlier_strikes(scenario: Scenario, trials: _Trials) -> Scenario:
    """Let strikes come earlier: what they waited for, other strikes may only have put off."""
    for index, strike in enumerate(scenario.strikes):
        for at in range(0, strike.at, 1 + strike.at // EARLIER_TRIES):
            strikes = list(scenario.strikes)
            strikes[index] = replace(strike, at=at)
            earlier = replace(scenario, strikes=tuple(strikes))
            if trials.fails(earlier):
                scenario = earlier
                break
    return scenario


def _fewer_people(scenario: Scenario, trials: _Trials) -> Scenario:
    """Take away people, in ever smaller pieces, as long as it still fails."""
    size = scenario.people
    while size:
        smaller = replace(scenario, people=scenario.people - size)
        if smaller.people >= 0 and trials.fails(smaller):
            scenario = smaller
        else:
            size //= 2
    return scenario
