"""What somebody sees who has not read the docs: every option says what it is, and Tab completes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from syncfsm.cli import main
from tests.acceptance.conftest import Cli


def commands(command: click.Command, path: str = "syncfsm") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{path} {name}")


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_every_option_says_what_it_is(path: str) -> None:
    command = COMMANDS[path]
    shown = command.get_help(click.Context(command, max_content_width=100, terminal_width=100))
    assert command.help
    assert "..." not in shown.replace("[ARGS]...", "").replace("[OPTIONS OF IT]...", ""), "cut short"
    silent = [param.opts for param in command.params if isinstance(param, click.Option) and not param.help]
    assert silent == []


def completed(folder: Path, words: str) -> list[str]:
    environment = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_SYNCFSM_COMPLETE": "bash_complete",
    }
    done = subprocess.run(
        [sys.executable, "-m", "syncfsm.cli"],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_tab_completes_commands_options_and_what_they_take_whatever_the_settings_file_says(cli: Cli) -> None:
    (cli.folder / "syncfsm.toml").write_text("nonsense")
    assert completed(cli.folder, "syncfsm ch") == ["check"]
    assert completed(cli.folder, "syncfsm sync --pa") == ["--page-size"]
    assert completed(cli.folder, "syncfsm sync --order o") == ["oldest"]


def test_the_line_that_the_docs_give_for_bash_makes_a_completion() -> None:
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    assert 'eval "$(_SYNCFSM_COMPLETE=bash_source syncfsm)"' in page
    script = subprocess.run(
        [sys.executable, "-m", "syncfsm.cli"],
        env={**os.environ, "_SYNCFSM_COMPLETE": "bash_source"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    shell = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p syncfsm"], capture_output=True, text=True, check=False
    )
    assert "-F _syncfsm_completion" in shell.stdout
