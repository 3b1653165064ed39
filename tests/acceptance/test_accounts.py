"""Many accounts, from the command line: their settings, running and resuming them all, and looking at one."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator

import pytest

from syncfsm.log import open_log
from syncfsm.log.checks.verify import verify
from syncfsm_simulator.fakes.attio.workspaces import token
from tests.acceptance.conftest import Cli
from tests.acceptance.tenants import Offices, counts, lines_of, settle


@pytest.fixture
def opened() -> Iterator[Callable[..., Offices]]:
    all_of_them: list[Offices] = []

    def open_(count: int = 2, people: int = 3, **settings: float) -> Offices:
        all_of_them.append(Offices(count, people, **settings))
        return all_of_them[-1]

    yield open_
    for offices in all_of_them:
        offices.close()


# ── run ──────────────────────────────────────────────────────────────────────────────────────────


def test_all_accounts_are_synced_so_many_at_a_time_and_every_line_is_json(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    offices = opened(6, 60, latency_s=0.01)
    names = settle(cli, offices, "read-ahead = 1\n")
    out, _ = cli("run", "--once", "--at-once", "2", "--json")
    over = lines_of(out)
    assert sorted(line["sync"] for line in over) == sorted(names)
    assert {(line["state"], line["fetched"]) for line in over} == {("COMPLETED", 60)}
    assert {line["account"] for line in over} == {*names}
    assert counts(cli.folder / "contacts.db") == dict.fromkeys(names, 60)
    assert (offices.most, offices.most_of_one) == (2, 1)


def test_an_account_without_a_key_or_with_a_wrong_one_holds_nobody_up(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    settle(cli, opened(3))
    del cli.env["ACME_API_KEY"]
    cli.env["GLOBEX_API_KEY"] = "planted-wrong-key-0123"
    out, err = cli("run", "--once", status=1)
    assert counts(cli.folder / "contacts.db") == {"initech": 3}
    assert "waiting: acme: there is no key in ACME_API_KEY: set it" in err
    assert "error: globex: " in err
    assert "planted-wrong-key" not in out + err
    shown, _ = cli("accounts")
    assert "acme  cannot be run  there is no key in ACME_API_KEY: set it" in shown
    assert "unauthorized" in shown
    assert "planted" not in shown

    cli.env |= {"ACME_API_KEY": token(0), "GLOBEX_API_KEY": token(1)}
    _, err = cli("resume", "--reason", "reject_ratio_max")
    assert "nothing failed for that; there is: unauthorized" in err
    out, err = cli("resume", "--reason", "unauthorized", "--json")
    assert "going on with 1 sync: globex" in err
    assert [(line["sync"], line["state"]) for line in lines_of(out)] == [("globex", "COMPLETED")]
    found = {line["sync"]: line for line in cli.json("accounts")["accounts"]}
    assert found["acme"]["process"] is None
    assert found["globex"]["process"]["state"] == "COMPLETED"
    assert found["globex"]["due_at"] > found["globex"]["last_sync_at"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_what_is_stopped_or_killed_goes_on_where_it_stopped(
    cli: Cli, opened: Callable[..., Offices], sign: signal.Signals
) -> None:
    offices = opened(3, 100, latency_s=0.01)
    names = settle(cli, offices, "page-size = 5\n")
    offices.asks_before = 20
    run = cli.start("run", "--json")
    assert offices.is_asked.wait(60)
    run.send_signal(sign)
    _, err = run.communicate(timeout=60)
    assert "Traceback" not in err
    assert run.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[sign]
    with open_log(cli.folder / "sync.db") as log:
        assert [id_ for id_ in log.ids() if log.load(id_).is_active]
    offices.asks_before = 0
    out, _ = cli("run", "--once", "--json")
    assert sorted(line["sync"] for line in lines_of(out)) == sorted(names)
    assert counts(cli.folder / "contacts.db") == dict.fromkeys(names, 100)
    assert offices.queries < 3 * 20 + 35  # what was read ahead, or under way, is asked for again
    with open_log(cli.folder / "sync.db") as log:
        assert verify(log)[1] == []


def test_it_runs_until_it_is_stopped_and_brings_what_is_new(cli: Cli, opened: Callable[..., Offices]) -> None:
    settle(cli, opened(2))
    run = cli.start("run", "--every", "1s", "--json")
    assert run.stdout is not None
    seen = [json.loads(run.stdout.readline()) for _ in range(4)]
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert "interrupted; run the same command again to go on where it stopped" in err
    assert sorted((line["sync"], line["mode"]) for line in seen) == [
        ("acme", "initial"),
        ("acme", "ongoing"),
        ("globex", "initial"),
        ("globex", "ongoing"),
    ]


def test_rejects_of_all_accounts_are_sent_again_by_one_command(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    settle(cli, opened(2))
    cli("run", "--once")
    _, err = cli("resume", "--rejects")
    assert "nothing to retry" in err
    _, err = cli("resume", "--rejects", "--reason", "unauthorized", status=2)
    assert "leave one out" in err


def test_a_source_that_is_switched_off_is_left_out_and_that_is_said(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    offices = opened(1)
    settle(cli, offices)
    cli.env["SYNCFSM_SOURCES_ATTIO_ENABLED"] = "no"
    _, err = cli("run", "--once")
    assert "acme is left out: the source attio is switched off by SYNCFSM_SOURCES_ATTIO_ENABLED" in err
    assert offices.queries == 0


# ── several syncs of one account ─────────────────────────────────────────────────────────────────

TWO_SYNCS = """
[accounts.acme]
source = "attio"
base_url = "{url}"
key_variable = "ACME_API_KEY"
companies = false

[[accounts.acme.syncs]]
sink = "sqlite:people.db"
every = "1h"

[[accounts.acme.syncs]]
object = "companies"
sink = "jsonl:companies.jsonl"
delete_missing = true
"""


def two_syncs(cli: Cli, offices: Offices) -> None:
    (cli.folder / "syncfsm.toml").write_text(TWO_SYNCS.format(url=offices.url))
    cli.env["ACME_API_KEY"] = token(0)


def test_an_account_may_have_several_syncs_and_one_of_them_is_named(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    two_syncs(cli, opened(1, 5))
    _, err = cli("sync", "--account", "acme", status=2)
    assert "2 syncs: choose one (--account acme/1, --account acme/companies)" in err
    assert "`syncfsm run --once --account acme`" in err
    _, err = cli("sync", "--account", "acme/deals", status=2)
    assert "the account acme of syncfsm.toml has no sync 'deals'" in err
    assert cli.json("sync", "--account", "acme/1")["source"].startswith("attio@acme:")
    out, _ = cli("run", "--once", "--account", "acme/1", "--json")
    assert [(line["sync"], line["mode"]) for line in lines_of(out)] == [("acme/1", "ongoing")]
    settings = cli.json("config", "show", "sync", "--account", "acme/companies")["settings"]
    assert settings["sink"] == {
        "value": "jsonl:companies.jsonl",
        "from": "file",
        "where": "syncfsm.toml, line 14",
    }
    assert settings["key-variable"]["value"] == "ACME_API_KEY"
    assert settings["delete-missing"]["value"] is True
    cli.env["SYNCFSM_ACCOUNT"] = "acme/1"
    assert cli.json("config", "show", "sync")["settings"]["sink"]["value"] == "sqlite:people.db"


def test_every_command_of_one_sync_takes_an_account(cli: Cli, opened: Callable[..., Offices]) -> None:
    two_syncs(cli, opened(1, 5))
    account = ("--account", "acme/1")
    out, _ = cli("check", *account)
    assert "a sync could start" in out
    cli("sync", *account)
    out, _ = cli("retry-rejects", *account)
    assert "nothing to retry" in out
    watch = cli.start("watch", "--every", "1s", *account, "--json")
    assert watch.stdout is not None
    assert json.loads(watch.stdout.readline())["account"] == "acme"
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=60)
    cli.env["ATTIO_WEBHOOK_SECRET"] = "a-secret-of-webhooks"
    hooks = cli.start("webhooks", "--port", "0", *account)
    assert hooks.stdout is not None
    assert hooks.stdout.readline().startswith("http")
    hooks.send_signal(signal.SIGINT)
    hooks.communicate(timeout=60)


def test_an_account_may_be_just_a_name_where_no_file_speaks_of_accounts(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    cli.env |= {"ACME_API_KEY": token(0)}
    named = ("--account", "acme", "--key-variable", "ACME_API_KEY")
    assert cli.sync(opened(1).url, *named)["account"] == "acme"
    _, err = cli("run", status=2)
    assert "says nothing of accounts: add a table [accounts.NAME]; see docs/accounts.md" in err


# ── what a settings file may not say ─────────────────────────────────────────────────────────────


COMPLETE = 'source = "attio"\nsink = "jsonl:x"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[accounts]\nacme = "attio"', "line 2: what is said of an account is a table: [accounts.acme]"),
        ('accounts = "acme"', "syncfsm.toml, line 1: accounts are tables: [accounts.NAME]"),
        ('[accounts."acme/people"]\nsource = "attio"', "'acme/people' cannot be the name of an account"),
        ('[accounts.acme]\nsyncs = "people"', "line 2: the syncs of an account are tables: [[accounts.acme."),
        ("[accounts.acme]\nsyncs = [1]", "line 2: the syncs of an account are tables"),
        ('[accounts.acme]\nsorce = "attio"', "line 2: 'sorce' is no setting of an account's sync: the near"),
        ('[accounts.acme]\nlog = "x.db"', "line 2: 'log' is no setting of an account's sync"),
        ('[accounts.acme]\nkey-variable = "ACME"', "line 2: key-variable names a variable that holds a "),
        ("[accounts.acme]\nkey_variable = 7", "line 2: key_variable names a variable that holds a "),
        ('[[accounts.acme.syncs]]\npage_size = "many"', "page_size: this is a whole number"),
        (f'[[accounts.acme.syncs]]\nevery = "soon"\n{COMPLETE}', "account acme: 'soon' is no length of time"),
        ('[accounts.acme]\nsource = "attio"', "account acme: Missing option '--sink'"),
        ('[accounts.acme]\napi_key = "planted"', "api_key may not stand in a file"),
        ('source = "attio"\n[acounts.acme]', "the nearest is accounts"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_said_with_its_place(cli: Cli, text: str, words: str) -> None:
    (cli.folder / "syncfsm.toml").write_text(text)
    _, err = cli("run", "--once", status=2)
    assert words in " ".join(err.split())
    assert not (cli.folder / "sync.db").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("run", "--account", "acne"), "syncfsm.toml has no account 'acne': the nearest is acme"),
        (("sync", "--account", "acne"), "syncfsm.toml has no account 'acne': the nearest is acme"),
        (("sync", "--account", "a b"), "'a b' cannot be the name of an account"),
        (("run", "--account", "acme/deals"), "the account acme of syncfsm.toml has no sync 'deals'"),
        (("run", "--every", "0s"), "every 0s leaves no pause"),
        (("run", "--at-once", "0"), "0 is not in the range"),
        (("serve", "--workspaces", "2", "--api-key", "x"), "--api-key is the token of one workspace"),
    ],
)
def test_what_is_asked_for_and_is_not_there_is_said(cli: Cli, asked: tuple[str, ...], words: str) -> None:
    (cli.folder / "syncfsm.toml").write_text('[accounts.acme]\nsource = "attio"\nsink = "jsonl:x"\n')
    _, err = cli(*asked, status=2)
    assert words in " ".join(err.split())


# ── looking at one account ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def synced(cli: Cli, opened: Callable[..., Offices]) -> Cli:
    settle(cli, opened(2))
    cli.env["GLOBEX_API_KEY"] = "planted-wrong-key-0123"
    cli("run", "--once", status=1)
    return cli


def test_what_is_shown_of_a_log_can_be_of_one_account_one_state_or_one_mode(synced: Cli) -> None:
    def listed(*asked: str) -> list[str]:
        return [process["account"] for process in synced.json("log", "ls", "sync.db", *asked)["processes"]]

    assert sorted(listed()) == ["acme", "globex"]
    assert listed("--account", "acme") == ["acme"]
    assert listed("--state", "failed") == ["globex"]
    assert listed("--mode", "ongoing") == []
    assert sorted(listed("--account", "acme", "--account", "globex")) == ["acme", "globex"]
    _, err = synced("log", "ls", "sync.db", "--account", "nobody")
    assert "no such processes" in err
    _, err = synced("log", "ls", "sync.db", "--state", "(none)", status=2)
    assert "'(none)' is not one of 'initializing'" in " ".join(err.split())


def test_top_shows_the_account_in_full_however_narrow_the_terminal_is(synced: Cli) -> None:
    synced.env["COLUMNS"] = "60"
    out, _ = synced("top", "sync.db", "--once")
    assert "acme" in out
    assert "globex" in out
    out, _ = synced("top", "sync.db", "--once", "--account", "acme")
    assert "globex" not in out


def test_following_and_reports_can_be_of_one_account(synced: Cli) -> None:
    ids = {line["account"]: line["process"] for line in synced.json("log", "ls", "sync.db")["processes"]}
    for account, status in (("acme", 0), ("globex", 1)):  # whichever of them began last
        follow = ("log", "follow", "sync.db", "--account", account, "--json")
        out, _ = synced(*follow, "-n", "2", "--until-over", status=status)
        shown = lines_of(out)
        assert {event["stream"] for event in shown} == {ids[account]}
        assert len(shown) == 2
    _, err = synced("log", "follow", "sync.db", "--account", "nobody", "--until-over", status=2)
    assert "the log has no such process yet: --wait waits for one" in err
    synced("report", "sync.db", "--account", "acme", "-o", "acme.html")
    html = (synced.folder / "acme.html").read_text()
    assert "attio@acme" in html
    assert "attio@globex" not in html
    _, err = synced("report", "sync.db", "--account", "nobody", status=2)
    assert "no such process" in err


def test_past_events_of_one_account_are_found_behind_those_of_others(
    cli: Cli, opened: Callable[..., Offices]
) -> None:
    settle(cli, opened(2))
    cli("run", "--once", "--account", "acme")
    cli("run", "--once", "--account", "globex")
    follow = cli.start("log", "follow", "sync.db", "-n", "3", "--account", "acme", "--json")
    assert follow.stdout is not None
    shown = [json.loads(follow.stdout.readline()) for _ in range(3)]
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=60)
    assert [event["type"] for event in shown] == ["PageFetched", "PageDelivered", "SyncCompleted"]
    assert len({event["stream"] for event in shown}) == 1
