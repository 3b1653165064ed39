"""The modes from the command line: ongoing, watch, deletions and webhooks, against a fake Attio over HTTP."""

from __future__ import annotations

import json
import resource
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.command import contacts_in
from tests.acceptance.conftest import Cli, Started
from tests.acceptance.server import Server
from tests.webhooks import SECRET, body_of, signed


def contacts(folder: Path) -> dict[str, bool]:
    """Return the contacts, and whether each is marked as deleted."""
    return {
        external_id: deleted_at is not None
        for external_id, deleted_at in contacts_in(folder / "contacts.db", "external_id, deleted_at")
    }


def now() -> datetime:
    return datetime.now(UTC)


def test_an_ongoing_sync_brings_who_is_new(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(120)
    _, err = cli(*cli.sync_args(server.url), "--mode", "ongoing")
    assert "no sync was completed yet, so this one is of all records" in err
    new = server.world.create_person(now())
    second = cli.sync(server.url, "--mode", "ongoing")
    assert (second["mode"], second["fetched"], second["created"]) == ("ongoing", 1, 1)
    assert second["since"] < second["watermark"]
    assert new in contacts(cli.folder)
    out, _ = cli("explain", "sync.db")
    assert "an ongoing sync of people" in out


def test_who_is_missing_is_marked_when_that_is_asked_for(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(120)
    cli.sync(server.url)
    gone = sorted(server.world.entities("people"))[:3]
    for record_id in gone:
        server.world.delete_person(record_id)
    assert cli.sync(server.url)["missing"] == 0
    out, _ = cli(*cli.sync_args(server.url), "--delete-missing")
    assert "  3 contacts that no page had: deleted" in out
    assert sorted(record_id for record_id, is_deleted in contacts(cli.folder).items() if is_deleted) == gone


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--mode", "ongoing", "--delete-missing"), "cannot tell what is missing"),
        (("--mode", "ongoing", "--fresh"), "--fresh is for all records"),
        (("--changed-by", "Not A Slug"), "must be an attribute's slug"),
    ],
)
def test_what_does_not_go_together_is_said(
    cli: Cli, serve: Callable[..., Server], flags: tuple[str, ...], words: str
) -> None:
    _, err = cli(*cli.sync_args(serve(1).url), *flags, status=2)
    assert words in err


# ── watch ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_watch_syncs_again_and_again_until_it_is_stopped(
    cli: Cli, serve: Callable[..., Server], sign: signal.Signals, status: int
) -> None:
    server = serve(60)
    watch = cli.start("watch", "--every", "1s", *cli.sync_args(server.url)[1:], "--json")
    assert watch.stdout is not None
    first = json.loads(watch.stdout.readline())
    new = server.world.create_person(now())
    fetched = 0
    while not fetched:
        following = json.loads(watch.stdout.readline())
        fetched = following["fetched"]
    watch.send_signal(sign)
    _, err = watch.communicate(timeout=60)
    assert (first["mode"], first["created"], following["mode"]) == ("initial", 60, "ongoing")
    assert new in contacts(cli.folder)
    assert watch.returncode == status
    assert "Traceback" not in err
    assert cli.sync(server.url, "--mode", "ongoing")["state"] == "COMPLETED"


def test_a_time_that_is_none_is_refused(cli: Cli) -> None:
    _, err = cli("watch", "--every", "soon", *cli.sync_args("http://127.0.0.1:9")[1:], status=2)
    assert "'soon' is no length of time" in err
    _, err = cli("watch", "--every", "0s", *cli.sync_args("http://127.0.0.1:9")[1:], status=2)
    assert "every 0s leaves no pause: give 1s or more" in err


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────


class Listener:
    """`syncfsm webhooks` as a user starts it."""

    def __init__(self, cli: Cli, server: Server, *args: str) -> None:
        cli.env["ATTIO_WEBHOOK_SECRET"] = SECRET
        where = cli.sync_args(server.url)[1:]
        self.process = cli.start("webhooks", "--port", "0", "--settle", "0", *where, "--json", *args)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.object_id = server.world.object_ids["people"]

    def send(self, type_: str, record_id: str, key: str, secret: str = SECRET) -> int:
        ids = {"workspace_id": "w", "object_id": self.object_id, "record_id": record_id}
        body = body_of({"event_type": type_, "id": ids, "actor": {}})
        return httpx.post(self.url, content=body, headers=signed(body, key, secret)).status_code

    def over(self) -> dict[str, Any]:
        """Return what the next sync came to."""
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def stop(self, sign: signal.Signals = signal.SIGINT, status: int = 130) -> str:
        self.process.send_signal(sign)
        _, err = self.process.communicate(timeout=60)
        assert "Traceback" not in err
        assert SECRET not in err
        assert self.process.returncode == status
        return err


def test_webhooks_end_by_sigterm_in_good_order(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(2)
    listener = Listener(cli, server)
    assert listener.send("record.updated", min(server.world.entities("people")), "1") == 200
    assert listener.over()["state"] == "COMPLETED"
    assert "1 stored" in listener.stop(signal.SIGTERM, 143)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system limits no other process")
def test_webhooks_live_on_when_files_run_out(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(2)
    person = min(server.world.entities("people"))
    listener = Listener(cli, server)
    assert listener.send("record.updated", person, "1") == 200
    assert listener.over()["state"] == "COMPLETED"
    pid, port = listener.process.pid, httpx.URL(listener.url).port
    whole = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 4, whole[1]))
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
    time.sleep(0.2)
    for connection in idle:
        connection.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, whole)
    assert listener.send("record.updated", person, "2") == 200
    assert listener.over()["state"] == "COMPLETED"
    err = listener.stop()
    assert err.count("no more files can be opened") == 1


def kill(process: Started) -> None:
    process.kill()
    process.communicate()


def answer_to_a_large_one(url: str) -> bytes:
    """Return how the answer to a body that is only declared begins: it comes before that is read."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        connection.sendall(
            f"POST {where.path or '/'} HTTP/1.1\r\nHost: hooks\r\nContent-Length: 10000000\r\n\r\n".encode()
        )
        return connection.recv(64)


def test_webhooks_are_answered_rightly_and_seen_to(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(5)
    cli.sync(server.url)
    changed, deleted, *_ = sorted(server.world.entities("people"))
    server.world.update_person(changed, now())
    server.world.delete_person(deleted)
    listener = Listener(cli, server)
    assert listener.send("record.updated", changed, "k1", "a wrong secret") == 401
    assert listener.send("record.updated", changed, "k1") == 200
    assert listener.over()["updated"] == 1
    assert listener.send("record.deleted", deleted, "k2") == 200
    over = listener.over()
    assert (over["mode"], over["deleted"], over["rejected"]) == ("webhook", 1, 0)
    assert listener.send("record.updated", changed, "k1") == 200  # again, and nothing comes of it
    assert answer_to_a_large_one(listener.url).startswith(b"HTTP/1.1 413 ")
    assert httpx.post(listener.url, content=b"{", headers=signed(b"{")).status_code == 400
    assert listener.send("note.created", "x", "k3") == 200
    err = listener.stop()
    assert "1 ignored, 1 malformed, 1 replayed, 2 stored, 1 too_large, 1 unsigned" in err
    assert contacts(cli.folder)[deleted]
    assert sum(contacts(cli.folder).values()) == 1
    assert len(cli.json("log", "ls", "sync.db")["processes"]) == 3
    cli("log", "verify", "sync.db")


def test_what_was_answered_survives_kill_9_at_any_moment(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(5)
    cli.sync(server.url)
    listener = Listener(cli, server)
    server.hold_after(0)
    new = [server.world.create_person(now()) for _ in range(3)]
    assert listener.send("record.created", new[0], "k0") == 200
    assert server.is_holding.wait(60)  # a process has taken it, and asks
    assert [listener.send("record.created", new[1], "k1"), listener.send("record.created", new[1], "k1")] == [
        200
    ] * 2
    kill(listener.process)
    server.hold_after(None)
    listener = Listener(cli, server)
    assert listener.send("record.created", new[2], "k2") == 200
    created = 0
    while created < 3:
        created += listener.over()["created"]
    listener.stop()
    assert set(new) <= contacts(cli.folder).keys()


def test_without_a_secret_or_with_a_wrong_key_it_does_not_begin(
    cli: Cli, serve: Callable[..., Server]
) -> None:
    server = serve(1, api_key="another-key-0123456789")
    where = cli.sync_args(server.url)[1:]
    _, err = cli("webhooks", "--port", "0", *where, status=2)
    assert "set ATTIO_WEBHOOK_SECRET" in err
    cli.env["ATTIO_WEBHOOK_SECRET"] = SECRET
    _, err = cli("webhooks", "--port", "0", *where, status=1)
    assert "Attio does not accept the key" in err
    _, err = cli("webhooks", "--port", "0", "--object", SECRET, *where, status=2)
    assert "an argument holds the key of ATTIO_WEBHOOK_SECRET" in err


def test_a_port_that_is_taken_is_said(cli: Cli, serve: Callable[..., Server]) -> None:
    server = serve(1)
    cli.env["ATTIO_WEBHOOK_SECRET"] = SECRET
    port = server.url.rpartition(":")[2]
    _, err = cli("webhooks", "--port", port, *cli.sync_args(server.url)[1:], status=2)
    assert f"127.0.0.1 port {port} is taken" in err


def test_the_watermark_is_the_same_for_whoever_asks_next(cli: Cli, serve: Callable[..., Server]) -> None:
    """A sync of webhooks says nothing of the rest, and so moves no watermark."""
    server = serve(5)
    first = cli.sync(server.url)
    listener = Listener(cli, server)
    listener.send("record.updated", min(server.world.entities("people")), "k1")
    assert listener.over()["watermark"] is None
    listener.stop()
    second = cli.sync(server.url, "--mode", "ongoing")
    since = datetime.fromisoformat(second["since"])
    assert since == datetime.fromisoformat(first["watermark"]) - timedelta(seconds=300)
