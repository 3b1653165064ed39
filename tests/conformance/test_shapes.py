"""Whatever is asked, the fake answers in the shapes that Attio's answers have."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncfsm_simulator.fakes.attio.routes import ROUTES
from tests.conformance.asking import Ask, Asker, any_asks
from tests.conformance.shapes import SHAPES, problems


def test_every_route_has_a_shape() -> None:
    assert set(SHAPES) == {(route.method, route.name) for route in ROUTES}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(any_asks(), min_size=3, max_size=15))
def test_every_answer_has_its_shape(asks: list[Ask]) -> None:
    for answer in Asker().send_all(asks):
        assert problems(answer) == [], (answer.ask, answer.response.text[:500])
