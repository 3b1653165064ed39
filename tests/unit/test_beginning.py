"""How commands begin: what a new sync may stop, and which files they refuse before they open any."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncfsm.cli.shared.config_file import held_key
from syncfsm.cli.shared.serving import engines
from syncfsm.cli.sync import beginning
from syncfsm.core.machine import State
from syncfsm.errors import ActiveSync, ConfigurationError
from syncfsm.log import open_log
from tests.crm import Book, Desk

ASKED = {"settings": (), "mode": "initial", "page_size": 5, "deletes_missing": False}


def test_starting_anew_cancels_what_is_active_into_this_sink_and_never_into_another() -> None:
    with open_log(":memory:") as log:
        desk = Desk(log)
        said: list[str] = []
        anew = beginning(fresh=True, say=said.append, source="attio", order="newest", **ASKED)
        first = desk.engine().start()
        second = anew(desk.engine())  # type: ignore[arg-type]
        assert log.load(first.id).state is State.CANCELLED
        assert said == [f"cancelled process {first.id}, which was active: --fresh starts anew"]
        desk.sink = Book()
        desk.sink.name = "other"
        with pytest.raises(ActiveSync, match=second.id):
            anew(desk.engine())  # type: ignore[arg-type]
        assert log.load(second.id).is_active


def test_no_service_takes_its_own_log_for_a_sink(tmp_path: Path) -> None:
    path = tmp_path / "sync.db"
    asked = {"source": "attio", "sink_url": f"sqlite:{path}", "log_path": str(path), "metrics": None}
    with (
        open_log(path) as log,
        pytest.raises(ConfigurationError, match="the same file"),
        engines(log, verbose=False, **asked),  # type: ignore[arg-type]
    ):
        pass


@pytest.mark.parametrize("secret", ["first-secret-0123456789", "second-secret-0123456789"])
def test_of_several_secrets_in_one_variable_each_is_known(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("ATTIO_WEBHOOK_SECRET", "first-secret-0123456789, second-secret-0123456789")
    assert held_key(f"https://example.com/?secret={secret}") == "ATTIO_WEBHOOK_SECRET"
    assert held_key("https://example.com/,") is None
