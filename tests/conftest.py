"""How many examples Hypothesis tries: its own number, or few of them for the many runs of `make mutants`."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutants",
    max_examples=15,
    derandomize=True,  # the same mutants survive each time
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a mutant is dead at the first example against it
    suppress_health_check=list(HealthCheck),  # slow is not dead
)
