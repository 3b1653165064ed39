"""`syncfsm sync --metrics`: a running sync, scraped over HTTP as Prometheus does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import KEY, Cli, Server

Serve = Callable[..., Server]


def test_a_running_sync_can_be_scraped(serve: Serve, cli: Cli) -> None:
    server = serve(500)
    server.hold_after(8)
    process = cli.start(*cli.sync_args(server.url), "--page-size", 50, "--read-ahead", 1, "--metrics", 0)
    assert process.stderr is not None
    url = process.stderr.readline().removeprefix("metrics at ").strip()
    assert url.startswith("http://127.0.0.1:")
    assert server.is_holding.wait(30)
    with urlopen(url) as answer:
        text = answer.read().decode()
    server.hold_after(None)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "500 records" in out
    assert KEY not in text
    samples = {
        (sample.name, sample.labels.get("result")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    pages = samples["syncfsm_pages_total", None]
    assert 0 < pages < 10
    assert samples["syncfsm_records_total", "created"] == 50 * pages
    assert samples["syncfsm_processes_active", None] == 1


def test_an_address_that_cannot_be_used_is_said_to_be_so(serve: Serve, cli: Cli) -> None:
    server = serve(1)
    taken = server.url.rpartition(":")[2]
    _, err = cli(*cli.sync_args(server.url), "--metrics", taken, status=2)
    assert f"metrics cannot be served at {taken}: Address already in use" in err
    _, err = cli(*cli.sync_args(server.url), "--metrics", "here", status=2)
    assert "give [HOST:]PORT, like 9464 or 0.0.0.0:9464" in err
    assert cli.json("log", "ls", "sync.db")["processes"] == []


def test_metrics_without_the_extra_say_what_to_install(serve: Serve, cli: Cli) -> None:
    (cli.folder / "prometheus_client.py").write_text("raise ModuleNotFoundError('prometheus_client')")
    cli.env["PYTHONPATH"] = f"{cli.folder}:{cli.env.get('PYTHONPATH', sys.path[0])}"
    _, err = cli(*cli.sync_args(serve(1).url), "--metrics", 0, status=2)
    assert "pip install 'syncfsm[prometheus]'" in err
    assert cli.sync(serve(1).url)["created"] == 1
