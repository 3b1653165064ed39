"""What the pages on Lambda and on other queues show is run; what needs a broker, with a stand-in for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest
import yaml

from syncfsm.workers.aws_lambda import records
from syncfsm_simulator.fakes.attio.workspaces import token
from tests.acceptance.tenants import Offices, counts
from tests.acceptance.test_docs import blocks, run_block
from tests.sqs import Context, FifoQueue

PEOPLE = 12
NAMES = ("cron_syncs", "rq_syncs", "celery_syncs", "temporal_syncs")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's files, an environment, and two workspaces."""
    offices = Offices(2, PEOPLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    said = {"ATTIO_BASE_URL": offices.url, "SYNCFSM_LOG": "sync.db", "SINK": "sqlite:contacts.db"}
    said |= {
        "ACME_API_KEY": token(0),
        "GLOBEX_API_KEY": token(1),
        "SYNCFSM_QUEUE_URL": "https://sqs.example/q.fifo",
    }
    for variable, value in said.items():
        monkeypatch.setenv(variable, value)
    for name, code in zip(("syncs", *NAMES), blocks("docs/other-queues.md", "python"), strict=True):
        (tmp_path / f"{name}.py").write_text(code)
    yield tmp_path
    for name in ("syncs", *NAMES):
        sys.modules.pop(name, None)
    offices.close()


def module(name: str, **names: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(names)
    return made


# ── Lambda ───────────────────────────────────────────────────────────────────────────────────


def test_the_template_is_one_of_two_functions_that_there_are_and_a_queue_for_them() -> None:
    (text,) = blocks("docs/lambda.md", "yaml")
    resources = yaml.safe_load(text)["Resources"]
    queue, handler, watchdog = (resources[name]["Properties"] for name in ("Queue", "Handler", "Watchdog"))
    for function in (handler, watchdog):
        where, _, name = function["Handler"].rpartition(".")
        assert callable(getattr(import_module(where), name))
    messages = handler["Events"]["Messages"]["Properties"]
    assert messages["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert messages["BatchSize"] <= 10  # the most of a FIFO queue
    assert queue["FifoQueue"] is resources["DeadLetters"]["Properties"]["FifoQueue"] is True
    assert queue["VisibilityTimeout"] > handler["Timeout"]
    assert "Watchdog" not in str(handler)
    assert "SQSSendMessagePolicy" not in str(handler)  # it sends nothing


def test_the_functions_of_the_page_bring_everybody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, opened = FifoQueue(), []

    def opening(url: str) -> Any:
        opened.append(open_log(url))
        return opened[-1]

    open_log = records.open_log
    monkeypatch.setattr(records, "open_log", opening)
    monkeypatch.setattr(boto3, "client", {"sqs": queue}.__getitem__)
    (example,) = blocks("docs/lambda.md", "python")
    names = run_block(example)
    assert names["watchdog"]({}, None) == {"sent": 1, "worked_on": 0}
    assert queue.deliver(names["handler"], Context()) == set()
    for log in opened:
        log.close()
    assert counts(home / "contacts.db") == {"acme": PEOPLE}


# ── other queues ─────────────────────────────────────────────────────────────────────────────


def test_what_cron_calls_brings_everybody_and_then_finds_nothing_due(home: Path) -> None:
    import_module("cron_syncs")
    assert counts(home / "contacts.db") == {"acme": PEOPLE, "globex": PEOPLE}
    assert import_module("syncs").due() == []
    assert import_module("syncs").turn("acme") > 200.0


def test_two_at_one_sync_do_no_harm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = import_module("syncs")
    monkeypatch.setattr(syncs, "work_on", MagicMock(side_effect=syncs.VersionConflict("another")))
    assert syncs.turn("acme") == syncs.BUSY_S


def test_the_tasks_of_rq_are_the_slices_that_are_due(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[tuple[Callable[..., float], str]] = []
    queue = SimpleNamespace(enqueue=lambda task, name, **_settings: queued.append((task, name)))
    monkeypatch.setitem(sys.modules, "redis", module("redis", Redis=lambda: None))
    monkeypatch.setitem(sys.modules, "rq", module("rq", Queue=lambda _name, connection: queue))
    import_module("rq_syncs").look()
    assert [name for _, name in queued] == ["acme", "globex"]
    for task, name in queued:
        task(name)
    assert counts(home / "contacts.db") == {"acme": PEOPLE, "globex": PEOPLE}


class StandInCelery:
    """What is used of an app of Celery: a task is its function, and is done when it is sent."""

    def __init__(self, _name: str, broker: str) -> None:
        self.conf = SimpleNamespace()
        self.names: set[str] = set()

    def task(self, *, name: str, **_settings: Any) -> Callable[[Any], Any]:
        self.names.add(name)

        def decorated(function: Any) -> Any:
            function.delay = function
            return function

        return decorated


def test_the_tasks_of_celery_bring_everybody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celery", module("celery", Celery=StandInCelery))
    tasks = import_module("celery_syncs")
    assert tasks.app.conf.beat_schedule["look"]["task"] in tasks.app.names
    tasks.look()
    assert counts(home / "contacts.db") == {"acme": PEOPLE, "globex": PEOPLE}


def test_the_activity_of_temporal_brings_everybody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def as_they_are() -> Iterator[None]:
        yield

    activity = SimpleNamespace(defn=lambda function: function)
    workflow = SimpleNamespace(
        defn=lambda cls: cls,
        run=lambda method: method,
        unsafe=SimpleNamespace(imports_passed_through=as_they_are),
    )
    monkeypatch.setitem(sys.modules, "temporalio", module("temporalio", activity=activity, workflow=workflow))
    temporal = importlib.import_module("temporal_syncs")
    assert temporal.work("acme") > 200.0
    assert counts(home / "contacts.db") == {"acme": PEOPLE}
    assert callable(temporal.Sync().run)
