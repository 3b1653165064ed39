"""Settings from a file, the environment and flags: which wins, what is refused and where, what is shown."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from syncfsm.cli import main
from syncfsm.cli.shared.naming import SHARING, options_of, path_of, table_names, variables_of
from tests.acceptance.conftest import KEY, Cli, Server

Serve = Callable[..., Server]
SHARED = 'source = "attio"\nsink = "sqlite:contacts.db"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTIO_API_KEY", KEY)
    return tmp_path


def write(text: str, name: str = "syncfsm.toml") -> None:
    Path(name).write_text(text)


def run(*args: object, status: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == status, result.output + str(result.exception)
    assert KEY not in result.output
    return result


def shown(*args: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("config", "show", *args, "--json").stdout)
    return answer


def setting(name: str, *args: object) -> tuple[Any, ...]:
    said = shown(*args)["settings"][name]
    return said["value"], said["from"], said["where"]


# ── which wins ───────────────────────────────────────────────────────────────────────────────


def test_a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert setting("page-size") == (None, "default", None)
    write("page-size = 10\n[sync]\n# mine\npage-size = 20\n")
    assert setting("page-size") == (20, "file", "syncfsm.toml, line 4")
    monkeypatch.setenv("SYNCFSM_PAGE_SIZE", "30")
    assert setting("page-size") == (30, "environment", "SYNCFSM_PAGE_SIZE")
    monkeypatch.setenv("SYNCFSM_SYNC_PAGE_SIZE", "35")
    assert setting("page-size") == (35, "environment", "SYNCFSM_SYNC_PAGE_SIZE")
    assert setting("page-size", "sync", "--page-size", 40) == (40, "flag", "--page-size")
    assert setting("page-size", "retry-rejects") == (30, "environment", "SYNCFSM_PAGE_SIZE")


@pytest.mark.parametrize(
    ("text", "args", "variables", "page_size"),
    [
        ("", (), {}, 50),
        ("", ("--quo-bulk",), {}, 499),
        ("quo-bulk = true", (), {}, 499),
        ("", (), {"SYNCFSM_QUO_BULK": "yes"}, 499),
        ("quo-bulk = true", (), {"SYNCFSM_QUO_BULK": "no"}, 50),
        ("quo-bulk = true", ("--page-size", 20), {}, 20),
        ("quo-bulk = true\npage-size = 20", (), {}, 20),
    ],
)
def test_pages_are_as_large_as_source_and_sink_take_best_unless_something_says_otherwise(
    serve: Serve, cli: Cli, *, text: str, args: tuple[object, ...], variables: dict[str, str], page_size: int
) -> None:
    url = serve(1).url
    write(f'source = "attio"\nsink = "quo:"\nbase-url = "{url}"\nquo-base-url = "{url}"\n{text}')
    cli.env |= {"QUO_API_KEY": "any", "QUO_PARTNER_KEY": "any", **variables}
    assert cli.json("check", *args)["page_size"] == page_size


def test_into_a_database_pages_are_as_large_as_the_source_gives_them(serve: Serve, cli: Cli) -> None:
    write(f'{SHARED}base-url = "{serve(1).url}"')
    assert cli.json("check")["page_size"] == 499


def test_what_stands_at_the_top_is_said_to_no_command_that_has_no_source() -> None:
    write('log = "precious.db"\n["log follow"]\ninterval = 3\n')
    assert setting("log")[0] == "precious.db"
    assert setting("log", "simulate") == (None, "default", None)
    assert setting("interval", "log", "follow") == (3.0, "file", "syncfsm.toml, line 3")


def test_the_commands_said_to_share_the_top_of_the_file_are_those_with_a_source() -> None:
    root = click.Context(main)
    commands = {name: main.get_command(root, name) for name in main.list_commands(root)}
    assert {name for name, command in commands.items() if command and "source" in options_of(command)} == set(
        SHARING
    )


def all_options() -> Iterator[tuple[str, list[str]]]:
    """Yield every option that can be set, as command and name, with its variables."""
    root = click.Context(main)
    for table in table_names(root):
        command: click.Command = main
        context = root
        for word in table.split():
            assert isinstance(command, click.Group)
            found = command.get_command(context, word)
            assert found is not None
            command, context = found, click.Context(found, info_name=word, parent=context)
        for name in options_of(command):
            yield f"{table} {name}", variables_of(command, path_of(context), name)


def test_no_variable_means_two_things() -> None:
    own = [variables[0] for _, variables in all_options()]
    shared = {variables[1] for _, variables in all_options() if len(variables) > 1}
    assert len(own) == len(set(own))
    assert not shared & {*own, "SYNCFSM_CONFIG"}
    assert len(own) > 50


def test_the_file_and_the_variables_run_a_sync_by_themselves(serve: Serve, cli: Cli) -> None:
    server = serve(45)
    write(
        f'{SHARED}base-url = "{server.url}"\nset = ["attempts_max=3"]\ncompanies = false\njson = true\n'
        "read-ahead = 1\n"
    )
    cli.env["SYNCFSM_PAGE_SIZE"] = "20"
    out, _ = cli("sync")
    assert (json.loads(out)["pages"], json.loads(out)["fetched"]) == (3, 45)
    (started, *_) = cli.json("log", "show", "sync.db")["events"]
    assert started["event"]["options"]["attempts_max"] == 3
    assert server.queries == {"people": 3}
    del cli.env["SYNCFSM_PAGE_SIZE"]
    assert json.loads(cli("sync", "--page-size", 45)[0])["pages"] == 1


@pytest.mark.parametrize("how", ["before", "after", "variable"])
def test_another_file_is_named_before_the_command_behind_it_or_by_a_variable(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    write("page_size = wrong")
    write("page-size = 7", "other.toml")
    args = {"before": ("--config", "other.toml"), "after": (), "variable": ()}[how]
    behind = ("--config", "other.toml") if how == "after" else ()
    if how == "variable":
        monkeypatch.setenv("SYNCFSM_CONFIG", "other.toml")
    said = json.loads(run(*args, "config", "show", *behind, "--json").stdout)
    assert (said["file"], said["settings"]["page-size"]["value"]) == ("other.toml", 7)


def test_the_flag_that_names_a_file_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    write("page-size = 7", "other.toml")
    monkeypatch.setenv("SYNCFSM_CONFIG", "nothing.toml")
    assert "nothing.toml cannot be read: No such file" in run("config", "show", status=2).stderr
    assert run("--config", "other.toml", "config", "show").exit_code == 0


# ── what is refused ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "sink = 'x'\npage_size = 3",
            "line 2: 'page_size' is no setting of a sync: the nearest is page-size",
        ),
        ("[sync]\nordre = 'id'", "line 2: 'ordre' is no setting of `syncfsm sync`: the nearest is order"),
        ("[snyc]\npage-size = 3", "line 1: 'snyc' is no table: the nearest is sync"),
        ("[log.follow]\nn = 3", 'a table has the whole name of a command: ["log backup"]'),
        ("page-size = 0", "line 1: page-size: 0 is not in the range x>=1"),
        ("page-size = '50'", "line 1: page-size: this is a whole number, not '50'"),
        ("page-size = 50.5", "line 1: page-size: this is a whole number, not 50.5"),
        ("page-size = true", "line 1: page-size: this is a whole number, not True"),
        ("fresh = 'yes'", "line 1: fresh: this is true or false, not 'yes'"),
        ("order = 'random'", "line 1: order: 'random' is not one of 'newest', 'oldest', 'id'"),
        ("sink = ['a', 'b']", "line 1: sink: this is a text, not ['a', 'b']"),
        ("set = 'attempts_max=3'", "line 1: set: this is a list, each a text, not 'attempts_max=3'"),
        ("set = [\n 'attempts=3',\n]", "line 1: set: 'attempts' is no limit"),
        ("set = ['attempts_max=0']", "line 1: set: attempts_max=0 cannot work"),
        ("order = 'id'\npage-size = ", "syncfsm.toml: Invalid value"),
        ("[sources.atio]\nenabled = false", "line 1: 'atio' is no source: the nearest is attio"),
        (
            "[sources.attio]\nenable = false",
            "line 2: 'enable' is no setting of a source: the nearest is enabled",
        ),
        ("[sources.attio]\nenabled = 0", "line 2: enabled is true or false, not 0"),
        ("[sources]\nattio = false", "line 2: what is said of a source is a table: [sources.attio]"),
    ],
)
def test_what_makes_no_sense_in_the_file_is_refused_with_its_place(text: str, words: str) -> None:
    write(text)
    assert words in run("sync", status=2).stderr
    assert not Path("sync.db").exists()


def test_a_value_between_long_texts_is_placed_on_its_own_line() -> None:
    write('why = """\npage-size = 1\n"""\n'.replace("why", "log") + "\n# page-size = 2\npage-size = 0\n")
    assert "line 6: page-size: 0 is not" in run("sync", status=2).stderr


def test_another_commands_table_hinders_no_sync_but_config_show_finds_what_is_wrong_in_it() -> None:
    write(f"{SHARED}[simulate]\npeple = 3\n")
    assert "there is no log" in run("retry-rejects", status=2).stderr
    assert (
        "'peple' is no setting of `syncfsm simulate`: the nearest is people"
        in run("config", "show", status=2).stderr
    )


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('api-key = "abc"', "ATTIO_API_KEY or AXISCARE_API_KEY or QUO_API_KEY or QUO_PARTNER_KEY"),
        ('attio_key = "abc"', "ATTIO_API_KEY"),
        ('[sources.attio]\ntoken = "abc"', "ATTIO_API_KEY"),
        ('[serve]\napi-key = "abc"', "SYNCFSM_SERVE_API_KEY"),
        ('[sync]\nATTIO_API_KEY = "abc"', "ATTIO_API_KEY"),
        ('quo-api-key = "abc"', "QUO_API_KEY"),
        ('partner_key = "abc"', "QUO_PARTNER_KEY"),
        ('secret = "abc"', "ATTIO_API_KEY or AXISCARE_API_KEY or QUO_API_KEY or QUO_PARTNER_KEY"),
    ],
)
def test_a_key_may_not_stand_in_the_file_and_its_variable_is_named(text: str, variable: str) -> None:
    write(text)
    words = run("sync", status=2).stderr
    assert f"may not stand in a file: set the variable {variable} instead" in words
    assert "abc" not in words


def test_a_key_is_found_in_the_file_and_in_variables_under_whatever_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(f'sink = "sqlite:{KEY}.db"')
    assert "line 1: this holds the key of ATTIO_API_KEY" in run("sync", status=2).stderr
    write("")
    monkeypatch.setenv("SYNCFSM_BASE_URL", f"https://api.example/{KEY}")
    assert "SYNCFSM_BASE_URL: this holds the key of ATTIO_API_KEY" in run("sync", status=2).stderr


def test_a_variable_that_does_not_fit_is_refused_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCFSM_PAGE_SIZE", "0")
    assert "SYNCFSM_PAGE_SIZE: 0 is not in the range" in run("sync", status=2).stderr
    monkeypatch.setenv("SYNCFSM_PAGE_SIZE", "20")
    monkeypatch.setenv("SYNCFSM_SET", "attempts_max=3 reject=3")
    assert "SYNCFSM_SET: 'reject' is no limit" in run("sync", status=2).stderr


def test_help_and_version_come_whatever_the_file_says() -> None:
    write("nonsense")
    assert "Usage:" in run("sync", "--help").stdout
    assert "version" in run("--version").stdout


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff", "UTF-8"), (b"#" * 1_000_001, "no file of settings")]
)
def test_a_file_of_another_kind_is_refused(content: bytes, words: str) -> None:
    Path("syncfsm.toml").write_bytes(content)
    assert words in run("config", "show", status=2).stderr


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_a_regular_file_is_read(make: Callable[[str], None]) -> None:
    make("syncfsm.toml")
    assert "the settings file syncfsm.toml is no regular file" in run("config", "show", status=2).stderr


# ── what is shown ────────────────────────────────────────────────────────────────────────────


def test_the_settings_are_shown_each_with_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    write(SHARED)
    monkeypatch.setenv("SYNCFSM_ORDER", "id")
    lines = [re.split(r"\s{2,}", line.strip()) for line in run("config", "show").stdout.splitlines()]
    assert lines[0] == ["syncfsm sync, with syncfsm.toml"]
    for line in (
        ["sink", "sqlite:contacts.db", "syncfsm.toml, line 2"],
        ["order", "id", "SYNCFSM_ORDER"],
        ["page-size", "(not set)", "default"],
        ["read-ahead", "auto", "default"],
        ["sources.attio.enabled", "true", "default"],
        ["ATTIO_API_KEY", "(set, not shown)", "environment"],
    ):
        assert line in lines


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCFSM_SERVE_API_KEY", "hush-hush")
    monkeypatch.setenv("SYNCFSM_BASE_URL", "https://me:hush-hush@api.example/x?key=hush-hush")
    for args in (("serve",), ("sync",), ("serve", "--json"), ("sync", "--json")):
        assert "hush" not in run("config", "show", *args).output
    assert setting("base-url")[0] == "https://…@api.example/x?…"


def test_a_variable_that_sets_nothing_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCFSM_PAGESIZE", "20")
    words = run("config", "show").stderr
    assert words == "SYNCFSM_PAGESIZE sets nothing: the nearest is SYNCFSM_PAGE_SIZE\n"


def test_a_command_that_is_none_is_refused() -> None:
    assert "'snyc' is no command: the nearest is sync" in run("config", "show", "snyc", status=2).stderr
    assert "No such option '--pages'" in run("config", "show", "sync", "--pages", "2", status=2).stderr


# ── switching a source off ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", ["sync", "retry-rejects"])
def test_a_source_that_is_switched_off_is_left_alone_with_success_and_a_line(command: str) -> None:
    write(f"{SHARED}[sources.attio]\nenabled = false\n")
    words = "the source attio is switched off by syncfsm.toml, line 4"
    result = run(command)
    assert (result.stdout, result.stderr) == ("", f"nothing done: {words}\n")
    assert json.loads(run(command, "--json").stdout) == {"process": None, "state": None, "off": words}
    assert [path.name for path in Path().iterdir()] == ["syncfsm.toml"]
    assert shown()["sources"]["attio"] == {"enabled": False, "where": "syncfsm.toml, line 4"}


def test_the_environment_switches_on_what_the_file_switches_off_and_the_other_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(f"{SHARED}[sources.attio]\nenabled = false\n")
    monkeypatch.setenv("SYNCFSM_SOURCES_ATTIO_ENABLED", "yes")
    assert "there is no log" in run("retry-rejects", status=2).stderr
    monkeypatch.setenv("SYNCFSM_SOURCES_ATTIO_ENABLED", "0")
    write(SHARED)
    assert "switched off by SYNCFSM_SOURCES_ATTIO_ENABLED" in run("sync").stderr


def test_the_example_of_the_page_on_configuration_is_read_as_it_stands() -> None:
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    write(example)
    assert len(tomllib.loads(example)) > 4
    assert run("config", "show").exit_code == 0
