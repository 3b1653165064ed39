"""Functions on a queue: everybody comes, whatever the queue delivers, and whoever is killed, without a chain.

The accounts are workspaces of the fake Attio over HTTP, the log is in PostgreSQL, the queue is that of
`tests/sqs.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

import syncfsm
from syncfsm.cli.shared.naming import QUEUE_VARIABLE
from syncfsm.core.machine import State
from syncfsm.core.process import Process
from syncfsm.engine.requests import SyncRequest
from syncfsm.errors import BrokenContract, ConfigurationError, LogUnwritable, SyncfsmError
from syncfsm.log import EventLog, open_log
from syncfsm.outside.clock import SystemClock
from syncfsm.postgres.address import parse
from syncfsm.workers import AccountSync, Place
from syncfsm.workers.aws_lambda import configured, handler, make_handler, make_watchdog, records, watchdog
from syncfsm.workers.aws_lambda.messages import Message
from syncfsm.workers.queue import turns
from syncfsm.workers.queue.schema import TURNS, queue_connection
from syncfsm_simulator.fakes.asgi import Receive, Reply, Scope, Send, header, http_date, send_reply
from syncfsm_simulator.fakes.attio.workspaces import token
from tests.acceptance.tenants import NAMES, Offices, counts
from tests.sqs import Context, FifoQueue, event_of

PEOPLE = 30
PAGE = 10
REFUSAL = {"status_code": 429, "type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Wait."}


def one_step() -> Context:
    """Return a context with so little time that each message gets one step, the least there is."""
    return Context(then_ms=20_001)


class Clock(SystemClock):
    """The machine's, and so much later."""

    later_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.later_s)


class Limited(Offices):
    """Workspaces; one of them may be told to come again after so many seconds."""

    waits: dict[str, float] = {}  # noqa: RUF012 - of each, by its token

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = (header(scope, b"authorization") or "").rpartition(" ")[2] if scope["type"] == "http" else ""
        if who in self.waits and scope["path"].endswith("/records/query"):
            now = SystemClock().now()
            retry_at = http_date(now + timedelta(seconds=self.waits[who]))
            headers = {"retry-after": retry_at, "date": http_date(now), "content-type": "application/json"}
            await send_reply(send, Reply(429, json.dumps(REFUSAL).encode(), headers))
        else:
            await super()._answer(scope, receive, send)


class Cloud:
    """Accounts, a log, a queue, a watchdog, and as many functions as are asked for."""

    def __init__(self, url: str, offices: Offices, folder: Path) -> None:
        self.url = url
        self.offices = offices
        self.folder = folder
        self.names = NAMES[: len(offices.worlds)]
        self.clock = Clock()
        self.queue = FifoQueue()
        self.over: list[Process] = []
        self.troubles: list[tuple[str, SyncfsmError]] = []
        self.log = open_log(url)
        self.is_unable: set[str] = set()
        self.handler = self.function(log=self.log)
        self.watchdog = self.make_watchdog()

    def make_watchdog(self) -> Callable[[], dict[str, Any]]:
        watchdog = make_watchdog(
            self.fleet,
            log=self.log,
            queue_url="https://sqs.example/syncs.fifo",
            queue=self.queue,
            clock=self.clock,
            on_trouble=self._trouble,
        )
        return lambda: watchdog({}, None)

    def function(self, log: EventLog | None = None) -> Any:
        return make_handler(
            self.fleet,
            log=self.url if log is None else log,
            clock=self.clock,
            on_over=lambda _sync, process: self.over.append(process),
            on_trouble=self._trouble,
        )

    def _trouble(self, sync: AccountSync[Any], error: SyncfsmError) -> None:
        self.troubles.append((sync.name, error))

    def fleet(self, log: EventLog) -> Iterator[AccountSync[Any]]:
        request = SyncRequest(mode="ongoing", page_size=PAGE)
        for number, name in enumerate(self.names):
            make = partial(self._engine, log, name, token(number))
            yield AccountSync(name, make, request=request, every_s=3600.0)

    def _engine(self, log: EventLog, name: str, key: str) -> syncfsm.Engine[Any]:
        if name in self.is_unable:
            raise ConfigurationError("there is no key")
        source = syncfsm.AttioSource(key, account=name, base_url=self.offices.url)
        sink = syncfsm.open_sink(f"sqlite:{self.folder / 'contacts.db'}")
        people = syncfsm.AttioPeople(source, companies=False)
        return syncfsm.Engine(log, source, sink, people, clock=self.clock, read_ahead=1)

    def minute(self, context: Context | None = None) -> None:
        """Let a minute pass: the watchdog looks, and the function takes what there is."""
        self.queue.now += 60.0
        self.watchdog()
        assert self.queue.deliver(self.handler, context or Context()) == set()

    def process(self, name: str) -> Process | None:
        found = [process for process in map(self.log.load, self.log.ids()) if f"@{name}" in process.source]
        return max(found, key=lambda process: process.started_at, default=None)

    def message(self, name: str) -> str:
        """Return what the watchdog would send for an account now."""
        process = self.process(name)
        place = Place() if process is None else Place(process=process.id, version=process.version)
        return Message(type="FETCH_PERSON_PAGE", sync=name, at=place).body

    def everybody(self) -> dict[str, int]:
        return dict.fromkeys(self.names, PEOPLE)

    def close(self) -> None:
        self.log.close()
        self.offices.close()


@pytest.fixture
def cloud(newest_postgres_url: str, tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(newest_postgres_url, Limited(3, PEOPLE), tmp_path)
    yield made
    made.close()


# ── the watchdog drives it all ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_thrifty", [True, False], ids=["queue that deduplicates", "queue that does not"])
def test_everybody_of_three_accounts_comes_once(cloud: Cloud, is_thrifty: bool) -> None:
    cloud.queue.is_thrifty = is_thrifty
    cloud.watchdog()
    cloud.minute()  # in which the watchdog looks again, before anything was done
    assert [process.state for process in cloud.over] == [State.COMPLETED] * 3
    assert counts(cloud.folder / "contacts.db") == cloud.everybody()
    assert cloud.offices.queries == 3 * 3
    assert cloud.queue.messages == []
    assert cloud.watchdog() == {"sent": 0, "worked_on": 0}  # none is due for an hour
    cloud.clock.later_s = 3601.0
    assert cloud.watchdog()["sent"] == 3
    assert cloud.troubles == []


def test_a_sync_of_more_calls_than_a_chain_may_have_is_driven_to_its_end(
    newest_postgres_url: str, tmp_path: Path
) -> None:
    cloud = Cloud(newest_postgres_url, Offices(1, 200), tmp_path)
    types: list[str] = []
    while not cloud.over:
        cloud.queue.now += 60.0
        cloud.watchdog()
        types += [json.loads(message.body)["type"] for message in cloud.queue.messages]
        assert cloud.queue.deliver(cloud.handler, one_step()) == set()
        assert cloud.queue.messages == []  # the function sends nothing: no chain has a second link
    assert types == ["START", *["FETCH_PERSON_PAGE"] * 20, "COMPLETE_SYNC"]
    assert counts(tmp_path / "contacts.db") == {"acme": 200}
    cloud.close()


def test_an_account_that_is_worked_on_is_left_to_whoever_does(cloud: Cloud) -> None:
    cloud.minute(one_step())
    with queue_connection(parse(cloud.url), "a worker") as worker:
        key = "hashtextextended('syncfsm account ' || current_schema() || ' globex', 0)"
        worker.execute(f"SELECT pg_advisory_lock({key})".encode())
        assert cloud.watchdog() == {"sent": 2, "worked_on": 1}
    assert {message.group for message in cloud.queue.messages} == {"acme", "initech"}


def test_what_sqs_does_not_take_is_told_of_and_due_at_the_next_look(cloud: Cloud) -> None:
    cloud.queue.refuses = {"globex": "InternalError"}
    with pytest.raises(BrokenContract, match="SQS did not take 1 of 3 messages: InternalError"):
        cloud.watchdog()
    cloud.queue.refuses = {}
    cloud.queue.now += 60.0
    cloud.watchdog()
    assert sorted(message.group for message in cloud.queue.messages) == ["acme", "globex", "initech"]


# ── what a queue delivers ────────────────────────────────────────────────────────────────────


def test_a_message_that_comes_again_does_nothing(cloud: Cloud) -> None:
    cloud.watchdog()
    again = event_of(cloud.queue.messages)
    cloud.minute(one_step())
    position, queries = cloud.log.last_position(), cloud.offices.queries
    for _ in range(3):
        assert cloud.handler(again, Context()) == {"batchItemFailures": []}
    assert (cloud.log.last_position(), cloud.offices.queries) == (position, queries)


def test_messages_that_come_out_of_order_do_nothing_but_the_one_that_is_due(cloud: Cloud) -> None:
    bodies = [cloud.message("acme")]
    for _ in range(3):
        cloud.handler(event_of([FifoQueue().put("acme", bodies[-1])]), one_step())
        bodies.append(cloud.message("acme"))
    before = cloud.process("acme")
    assert before is not None
    for body in reversed(bodies):  # the first of them is due, and moves it on by one step
        cloud.handler(event_of([FifoQueue().put("acme", body)]), one_step())
    after = cloud.process("acme")
    assert after is not None
    assert (after.id, after.progress.pages) == (before.id, before.progress.pages + 1)
    assert cloud.log.ids() == [after.id]


def test_a_poisonous_message_is_failed_alone_wherever_it_stands(cloud: Cloud) -> None:
    poisonous = [
        cloud.queue.put("acme", "no JSON"),
        cloud.queue.put("umbrella", Message(type="START", sync="umbrella", at=Place()).body),
        cloud.queue.put("globex", '{"type": "START", "sync": "globex"}'),
    ]
    cloud.watchdog()
    assert cloud.queue.deliver(cloud.handler, Context()) == {message.id for message in poisonous}
    assert counts(cloud.folder / "contacts.db") == cloud.everybody()
    assert [message.body for message in cloud.queue.messages] == [message.body for message in poisonous]


def test_a_batch_of_nothing_but_poison_is_failed_and_ends_in_the_dead_letter_queue(cloud: Cloud) -> None:
    poison = cloud.queue.put("acme", "no JSON")
    for _ in range(3):
        assert cloud.queue.deliver(cloud.handler, Context()) == {poison.id}  # and nothing is raised
        cloud.queue.now += 361.0
    assert cloud.queue.deliver(cloud.handler, Context()) == set()
    assert cloud.queue.dead == [poison]


def test_what_keeps_a_sync_from_going_on_is_told_of_and_no_fault_of_the_message(cloud: Cloud) -> None:
    cloud.watchdog()
    cloud.is_unable = {"globex"}
    assert cloud.queue.deliver(cloud.handler, Context()) == set()
    assert [(name, str(error)) for name, error in cloud.troubles] == [("globex", "there is no key")]
    assert counts(cloud.folder / "contacts.db") == {"acme": PEOPLE, "initech": PEOPLE}
    cloud.watchdog = cloud.make_watchdog()  # a new one, which knows of no engine yet
    assert cloud.watchdog()["sent"] == 0
    assert len(cloud.troubles) == 2


def test_where_the_log_is_away_all_messages_are_failed_and_it_is_asked_for_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def away(url: str) -> EventLog:
        asked.append(url)
        raise LogUnwritable("the log cannot be reached")

    monkeypatch.setattr(records, "open_log", away)
    cloud.watchdog()
    sent = {message.id for message in cloud.queue.messages}
    assert cloud.queue.deliver(cloud.function(), Context()) == sent
    assert asked == [cloud.url]
    monkeypatch.undo()
    cloud.queue.now += 361.0
    assert cloud.queue.deliver(cloud.handler, Context()) == set()
    assert counts(cloud.folder / "contacts.db") == cloud.everybody()


# ── several functions, and one that is killed ────────────────────────────────────────────────


def test_two_functions_with_the_same_message_ask_for_each_page_once(cloud: Cloud) -> None:
    cloud.offices.close()
    cloud.offices = Offices(1, PEOPLE, latency_s=0.1)
    cloud.names = NAMES[:1]
    event = event_of([cloud.queue.put("acme", Message(type="START", sync="acme", at=Place()).body)])
    both = threading.Barrier(2)

    def run(_number: int) -> dict[str, Any]:
        with open_log(cloud.url) as log:
            function = cloud.function(log)
            both.wait()
            answer: dict[str, Any] = function(event, Context())
            return answer

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [{"batchItemFailures": []}] * 2
    assert counts(cloud.folder / "contacts.db") == {"acme": PEOPLE}
    assert (cloud.offices.queries, cloud.offices.most_of_one) == (3, 1)
    assert cloud.troubles == []


def test_a_function_and_a_worker_keep_one_turn(cloud: Cloud) -> None:
    with queue_connection(parse(cloud.url), "a worker") as worker:
        worker.execute(TURNS.encode())
        turn = turns.Turn(sync="acme", account="acme", worker="a worker")
        assert turns.take(worker, turn) is None
        cloud.minute()
        assert cloud.process("acme") is None
        turns.give_back(worker, turn, due_s=0, wait_s=0)
    assert counts(cloud.folder / "contacts.db") == {"globex": PEOPLE, "initech": PEOPLE}


FUNCTION = """
import sys
from pathlib import Path
from tests.acceptance.test_aws_lambda import Cloud, Context
from tests.acceptance.tenants import Offices

class There:
    worlds = [None]
    url = sys.argv[2]

cloud = Cloud(sys.argv[1], There(), Path(sys.argv[3]))
cloud.handler({"Records": [{"messageId": "1", "body": sys.argv[4]}]}, Context())
"""


def test_what_a_killed_function_leaves_the_watchdog_goes_on_with(
    newest_postgres_url: str, tmp_path: Path
) -> None:
    offices = Offices(1, PEOPLE, latency_s=0.15)
    offices.asks_before = 2
    cloud = Cloud(newest_postgres_url, offices, tmp_path)
    cloud.watchdog()
    (message,) = cloud.queue.receive()
    arguments = [newest_postgres_url, offices.url, str(tmp_path), message.body]
    victim = subprocess.Popen([sys.executable, "-c", FUNCTION, *arguments])
    assert offices.is_asked.wait(30)
    assert cloud.watchdog() == {"sent": 0, "worked_on": 1}
    victim.kill()
    victim.wait()
    until_free(cloud)
    killed = cloud.process("acme")
    assert killed is not None
    assert killed.progress.pages == 1
    cloud.queue.now += 361.0  # the message comes again, and the watchdog has sent for where it stands
    cloud.minute()
    assert counts(tmp_path / "contacts.db") == {"acme": PEOPLE}
    assert [process.id for process in cloud.over] == [killed.id]
    cloud.close()


def until_free(cloud: Cloud) -> None:
    """Ask until the server has noticed that somebody is gone."""
    for _ in range(1000):
        if cloud.make_watchdog()()["worked_on"] == 0:
            cloud.queue.messages = cloud.queue.messages[:1]
            return
    raise AssertionError("it never did")


def test_a_page_that_takes_too_long_is_broken_off_and_fails_no_message(
    newest_postgres_url: str, tmp_path: Path
) -> None:
    cloud = Cloud(newest_postgres_url, Offices(1, PEOPLE, latency_s=1.0), tmp_path)
    cloud.watchdog()
    assert cloud.queue.deliver(cloud.handler, Context(2200)) == set()
    process = cloud.process("acme")
    assert process is not None
    assert process.is_active
    assert process.version == 1  # it has begun, and no answer came
    assert cloud.watchdog() == {"sent": 1, "worked_on": 0}
    assert cloud.troubles == []
    cloud.close()


def test_the_messages_of_a_batch_share_the_time_that_is_left(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    within = records.Within
    monkeypatch.setattr(records, "Within", lambda share_s: shares.append(share_s) or within(share_s))
    cloud.minute(Context(80_000))
    assert shares == [20.0, 30.0, 60.0]  # of a minute, since the first two took none of it


# ── what is told to wait ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wait_s", [120.0, 7200.0], ids=["a while", "longer than a sync waits"])
def test_an_account_that_is_told_to_wait_is_sent_for_when_its_time_has_come(
    cloud: Cloud, wait_s: float
) -> None:
    cloud.offices.waits = {token(1): wait_s}
    cloud.minute()
    waiting = cloud.process("globex")
    assert waiting is not None
    assert waiting.progress.pages == 0
    assert cloud.queue.messages == []  # nothing hangs in the queue until then
    assert counts(cloud.folder / "contacts.db") == {"acme": PEOPLE, "initech": PEOPLE}
    cloud.offices.waits = {}
    cloud.clock.later_s = wait_s - 5.0
    cloud.watchdog()
    assert "globex" not in {message.group for message in cloud.queue.messages}
    cloud.clock.later_s = wait_s * 1.5
    cloud.minute()
    assert counts(cloud.folder / "contacts.db") == cloud.everybody()


# ── as Lambda calls them ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def settings(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A settings file and an environment as a function has them."""
    lines = [f'source = "attio"\nbase-url = "{cloud.offices.url}"\nsink = "sqlite:contacts.db"\n']
    for number, name in enumerate(cloud.names):
        lines.append(f'[accounts.{name}]\nkey-variable = "{name.upper()}_API_KEY"\n')
        monkeypatch.setenv(f"{name.upper()}_API_KEY", token(number))
    (cloud.folder / "lambda.toml").write_text("\n".join(lines))
    monkeypatch.chdir(cloud.folder)
    monkeypatch.setenv("SYNCFSM_CONFIG", "lambda.toml")
    monkeypatch.setenv("SYNCFSM_LOG", cloud.url)
    monkeypatch.setenv(QUEUE_VARIABLE, "https://sqs.example/syncs.fifo")
    yield monkeypatch
    if configured._fleet.cache_info().currsize:
        configured._fleet().log.close()
    for made in (configured._fleet, configured._handler, configured._watchdog):
        made.cache_clear()


def test_the_named_functions_read_the_settings_and_send_by_boto3(
    cloud: Cloud, settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = boto3.client(
        "sqs", region_name="eu-central-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    settings.setattr(boto3, "client", {"sqs": client}.__getitem__)
    with Stubber(client) as sqs:
        starts = [Message(type="START", sync=name, at=Place()) for name in cloud.names]
        entries = [
            {
                "Id": str(number),
                "MessageBody": message.body,
                "MessageGroupId": message.sync,
                "MessageDeduplicationId": message.deduplication_id,
            }
            for number, message in enumerate(starts)
        ]
        sent = {"QueueUrl": "https://sqs.example/syncs.fifo", "Entries": entries}
        sqs.add_response("send_message_batch", {"Successful": [], "Failed": []}, sent)
        assert watchdog({}, None) == {"sent": 3, "worked_on": 0}
        sqs.assert_no_pending_responses()
    event = event_of([FifoQueue().put(message.sync, message.body) for message in starts])
    assert handler(event, Context()) == {"batchItemFailures": []}
    assert counts(cloud.folder / "contacts.db") == cloud.everybody()
    assert capsys.readouterr().out.count(f"{PEOPLE} created") == 3


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (QUEUE_VARIABLE, "", "there is no queue: set SYNCFSM_QUEUE_URL"),
        ("SYNCFSM_LOG", "sync.db", "a file would be gone with the function"),
        ("SYNCFSM_CONFIG", "none.toml", "none.toml"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_words(
    settings: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    settings.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=words):
        watchdog({}, None)
