"""Every command explains itself."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from edgebox import __version__
from edgebox.cli.main import edgebox, perform
from tests.cli.conftest import Desk

COMMANDS = {
    "serve", "demo", "connect", "connections", "connections remove", "lists", "lists add", "lists offered",
    "lists remove", "devices", "devices add", "devices show", "devices renew", "devices revoke",
    "attention", "attention retry", "attention dismiss", "attention accept", "attention reject", "attention seen",
    "sync", "status", "address", "log", "export", "paper", "backup", "restore", "hold",
    "check", "purge",
    "staff", "staff code", "staff reset",
}  # fmt: skip


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")


ALL = dict(commands(edgebox))


def test_these_are_the_commands() -> None:
    assert set(ALL) == COMMANDS


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_a_command_and_each_of_its_options_has_help(path: str, desk: Desk) -> None:
    command = ALL[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts[-1]}"

    for flag in ("--help", "-h"):
        said = desk.run(*path.split(), flag)
        assert said.startswith(f"Usage: edgebox {path} ")
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[-1] in said
    assert not desk.data_dir.exists()


def test_the_list_of_commands_cuts_nothing_off() -> None:
    for group in (["--help"], ["lists", "--help"], ["devices", "--help"], ["attention", "--help"]):
        said = CliRunner().invoke(edgebox, group, terminal_width=80, prog_name="edgebox").output
        assert "Commands:" in said
        assert "..." not in said.partition("Commands:")[2]


def test_without_a_command_it_shows_the_commands_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert perform([]) == 2

    assert "Commands:" in capsys.readouterr().err


def test_it_knows_its_version(desk: Desk) -> None:
    assert desk.run("--version") == f"edgebox, version {__version__}\n"
