"""The receiver of webhooks: what it takes, what it refuses, and that nothing is lost or counted twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncfsm.core.paging.place import ToldGone
from syncfsm.errors import ConfigurationError
from syncfsm.log import EventLog, open_log
from syncfsm.webhooks import WebhookReceiver
from syncfsm.webhooks.messages import Malformed, Message, is_signed, read
from tests.fakes import WRONG_KEY, TestClock
from tests.webhooks import ADA, EDITH, GRACE, OBJECT, SECRET, body_of, event, send, signature, signed

CREATED = body_of(event("record.created", ADA))


@pytest.fixture
def log() -> Iterator[EventLog]:
    with open_log(":memory:") as log:
        yield log


@pytest.fixture
def app(log: EventLog) -> WebhookReceiver:
    return receiver(log)


def receiver(log: EventLog, secret: Any = SECRET, **settings: Any) -> WebhookReceiver:
    return WebhookReceiver(log, secret, source="attio", object_id=OBJECT, clock=TestClock(), **settings)


@pytest.mark.parametrize("object_id", ["", WRONG_KEY])
def test_whose_records_are_meant_has_to_be_known(log: EventLog, object_id: Any) -> None:
    with pytest.raises(ConfigurationError, match="whose records are meant"):
        WebhookReceiver(log, SECRET, source="attio", object_id=object_id)


def waiting(log: EventLog) -> tuple[str, ...]:
    return log.waiting("attio", "people").record_ids


def test_a_signed_message_is_stored_and_answered(app: WebhookReceiver, log: EventLog) -> None:
    answer = send(app, CREATED, signed(CREATED))
    assert (answer.status_code, answer.json(), waiting(log)) == (200, {"status": "stored"}, (ADA,))


def test_the_other_header_is_as_good(app: WebhookReceiver, log: EventLog) -> None:
    headers = {"X-Attio-Signature": signature(CREATED).upper()}
    assert send(app, CREATED, headers).json() == {"status": "stored"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Attio-Signature": ""},
        {"Attio-Signature": "0" * 64},
        {"Attio-Signature": signature(CREATED)[:-1]},
        {"Attio-Signature": signature(CREATED, "another secret")},
        {"Attio-Signature": signature(CREATED + b" ")},
        {"Attio-Signature": "0" * 64, "X-Attio-Signature": signature(CREATED)},
    ],
)
def test_what_is_not_signed_is_refused_and_not_stored(
    app: WebhookReceiver, log: EventLog, headers: dict[str, str]
) -> None:
    answer = send(app, CREATED, {"Idempotency-Key": "k1", **headers})
    assert (answer.status_code, waiting(log), app.counts) == (401, (), {"unsigned": 1})


def test_a_signature_that_is_no_text_is_refused(app: WebhookReceiver) -> None:
    assert not is_signed(CREATED, b"\xff\xfe", [SECRET])
    assert is_signed(CREATED, signature(CREATED).encode(), ["other", SECRET])


def test_a_replayed_key_is_answered_and_nothing_is_stored_twice(app: WebhookReceiver, log: EventLog) -> None:
    answers = [send(app, CREATED, signed(CREATED)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["status"] for answer in answers] == ["stored", "replayed", "replayed"]
    assert len(log.waiting("attio", "people").notices) == 1


@pytest.mark.parametrize("key", [None, "", "k" * 201])
def test_without_a_usable_key_no_message_is_taken_for_another(
    app: WebhookReceiver, log: EventLog, key: str | None
) -> None:
    for _ in range(2):
        assert send(app, CREATED, signed(CREATED, key)).json() == {"status": "stored"}
    assert len(log.waiting("attio", "people").notices) == 2


def test_a_body_that_is_too_large_is_refused_before_it_is_read(app: WebhookReceiver, log: EventLog) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("it was read")

    assert answered(app, [(b"content-length", b"10000000")], never) == 413


def test_a_body_that_does_not_say_how_large_it_is_is_read_no_further_than_the_limit(
    app: WebhookReceiver,
) -> None:
    read_bytes = 0

    async def endless() -> dict[str, Any]:
        nonlocal read_bytes
        read_bytes += 65536
        return {"type": "http.request", "body": bytes(65536), "more_body": True}

    assert answered(app, [], endless) == 413
    assert read_bytes == 1_048_576 + 65536


def test_a_body_of_just_the_limit_is_taken(log: EventLog) -> None:
    assert send(receiver(log, body_bytes_max=len(CREATED)), CREATED, signed(CREATED)).status_code == 200
    app = receiver(log, body_bytes_max=len(CREATED) - 1)
    assert send(app, CREATED, signed(CREATED)).status_code == 413
    assert app.counts == {"too_large": 1}


def test_a_sender_that_goes_away_gets_no_answer_and_nothing_is_stored(
    app: WebhookReceiver, log: EventLog
) -> None:
    messages = iter(
        [{"type": "http.request", "body": CREATED, "more_body": True}, {"type": "http.disconnect"}]
    )

    async def leave() -> dict[str, Any]:
        return next(messages)

    headers = [(name.lower().encode(), value.encode()) for name, value in signed(CREATED).items()]
    assert answered(app, headers, leave) is None
    assert (waiting(log), app.counts) == ((), {})


def answered(app: WebhookReceiver, headers: list[tuple[bytes, bytes]], receive: Any) -> int | None:
    """Return the status with which an app answers what comes of `receive`."""
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "POST", "headers": headers}, receive, keep))
    return sent[0]["status"] if sent else None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"events": {}}',
        b'{"events": [{}]}',
        b'{"events": [{"event_type": "record.created", "id": "x"}]}',
        b'{"events": [{"event_type": "record.created", "id": {"record_id": 7}}]}',
        b"\xff\xfe",
        body_of(event("record.created", "Ada Lovelace")),
        body_of(event("record.merged", ADA, duplicate_record_id="ada@mail.example")),
    ],
)
def test_a_signed_body_that_is_no_message_is_refused(
    app: WebhookReceiver, log: EventLog, body: bytes
) -> None:
    answer = send(app, body, signed(body))
    assert (answer.status_code, answer.json(), waiting(log)) == (400, {"status": "malformed"}, ())


@pytest.mark.parametrize(
    "body",
    [
        body_of(),
        body_of({"event_type": "note.created", "id": "of another shape"}),
        body_of({"event_type": "record.archived", "id": {"record_id": ADA}}),
        body_of(event("record.created", ADA) | {"id": {"object_id": ADA, "record_id": ADA}}),
    ],
)
def test_what_is_of_no_concern_is_answered_and_counted(
    app: WebhookReceiver, log: EventLog, body: bytes
) -> None:
    answer = send(app, body, signed(body))
    assert (answer.status_code, waiting(log), app.counts) == (200, (), {"ignored": 1})


def test_all_records_that_a_message_tells_of_are_taken_each_once() -> None:
    body = body_of(
        event("record.updated", ADA),
        event("record.merged", GRACE, duplicate_record_id=ADA, duplicate_object_id=OBJECT),
        event("record.merged", GRACE, duplicate_record_id=EDITH, duplicate_object_id=OBJECT),
        event("record.deleted", EDITH),
    )
    assert read(body, OBJECT).record_ids == (ADA, GRACE, EDITH)
    assert read(body, ADA) == Message()


def test_only_who_was_deleted_or_merged_into_another_may_be_gone() -> None:
    body = body_of(
        event("record.updated", ADA),
        event("record.merged", GRACE, duplicate_record_id=ADA, duplicate_object_id=OBJECT),
        event("record.created", GRACE),
        event("record.deleted", EDITH),
    )
    assert read(body, OBJECT).gone == (ToldGone(record_id=ADA, into=GRACE), ToldGone(record_id=EDITH))


@given(
    st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(lambda it: str(it).encode())
)
def test_no_body_whatever_makes_it_fail_otherwise(body: bytes) -> None:
    try:
        assert read(body, OBJECT) == Message()
    except Malformed as error:
        assert str(error) == "the body is not a message of a webhook"  # noqa: PT017 - of all errors, this one


def test_only_posts_are_answered(app: WebhookReceiver) -> None:
    answer = send(app, b"", {}, "GET")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_log_that_cannot_be_written_is_said_so_that_it_is_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "sync.db"
    with open_log(path, busy_timeout_s=0.0) as log:
        app = receiver(log)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert send(app, CREATED, signed(CREATED)).status_code == 503
        holder.execute("ROLLBACK")
        holder.close()
        assert send(app, CREATED, signed(CREATED)).json() == {"status": "stored"}
        assert app.counts == {"unwritable": 1, "stored": 1}


def test_a_notice_is_on_the_disk_before_it_is_answered_whatever_events_are(tmp_path: Path) -> None:
    with open_log(tmp_path / "sync.db") as log:
        levels: list[int] = []
        connection = log._connection  # type: ignore[attr-defined]
        connection.set_trace_callback(
            lambda sql: (
                levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])
                if "INSERT INTO inbox" in sql
                else None
            )
        )
        send(receiver(log), CREATED, signed(CREATED))
        connection.set_trace_callback(None)
        assert levels == [2]
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_several_secrets_are_as_good_as_one(log: EventLog) -> None:
    app = receiver(log, ["old", SECRET])
    assert send(app, CREATED, signed(CREATED, "k1", "old")).status_code == 200
    assert send(app, CREATED, signed(CREATED, "k2")).status_code == 200
    assert send(app, CREATED, signed(CREATED, "k3", "older")).status_code == 401


@pytest.mark.parametrize("secret", ["", " ", [], ["", SECRET]])
def test_without_a_secret_there_is_no_receiver(log: EventLog, secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        receiver(log, secret)


def test_it_begins_and_ends_with_its_server(app: WebhookReceiver) -> None:
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(messages)

    async def keep(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, keep))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_what_would_go_into_a_log_that_is_gone_is_to_be_sent_again(tmp_path: Path, is_replaced: bool) -> None:
    path = tmp_path / "sync.db"
    with open_log(path) as log:
        app = receiver(log)
        assert send(app, CREATED, signed(CREATED, "k1")).status_code == 200
        path.rename(tmp_path / "kept.db")
        if is_replaced:
            open_log(path).close()
        answers = [send(app, CREATED, signed(CREATED, "k2")) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert app.counts == {"stored": 1, "unwritable": 2}
