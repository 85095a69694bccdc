"""What the documentation says is held against the code: rooms, settings, commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from edgebox.cli.main import edgebox
from edgebox.config import describe
from edgebox.rules import decision

REPOSITORY = Path(__file__).parent.parent
HOUSE = (REPOSITORY / "edgebox" / "README.md").read_text("utf-8")
README = (REPOSITORY / "README.md").read_text("utf-8")


def section(text: str, heading: str) -> str:
    match = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"there is no section {heading!r}"
    return match[1]


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def test_the_plan_names_every_room_and_no_other() -> None:
    package = REPOSITORY / "edgebox"
    rooms = {f"{entry.name}/" for entry in package.iterdir() if (entry / "__init__.py").exists()}
    rooms |= {entry.name for entry in package.glob("*.py") if entry.name != "__init__.py"}
    named = first_cells(section(HOUSE, "Rooms and arrows"))
    assert len(named) == len(set(named))
    assert set(named) == rooms


def test_the_plan_lists_the_rooms_in_the_order_of_the_arrows() -> None:
    """A room may know those below it, never those above."""
    order = [room.removesuffix("/").removesuffix(".py") for room in first_cells(section(HOUSE, "Rooms and arrows"))]
    for position, room in enumerate(order):
        for path in [REPOSITORY / "edgebox" / f"{room}.py", *(REPOSITORY / "edgebox" / room).rglob("*.py")]:
            if not path.exists():
                continue
            known = set(re.findall(r"^\s*(?:from|import) edgebox\.(\w+)", path.read_text("utf-8"), re.MULTILINE))
            above = (known & set(order[:position])) - {room}
            assert not above, f"{path.name} knows {above}"


def test_the_plan_shows_the_decision_table_row_by_row() -> None:
    rows = first_cells(section(HOUSE, "The decision"))
    assert rows == [check.__name__ for check in decision.TABLE]


def test_the_readme_lists_every_setting_with_its_default() -> None:
    listed = re.findall(r"^\| `(\w+)` \| `([^`]*)` \| (.*) \|$", section(README, "Settings"), re.MULTILINE)
    assert listed == [(each.key, each.default, f"{each.help} ({each.type})") for each in describe()]


def all_commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{prefix}{name} ")


def test_the_readme_names_every_command_and_option() -> None:
    commands = section(README, "An evening with the box")
    for path, command in all_commands(edgebox):
        assert re.search(rf"`[^`\n]*\b{path.split()[-1]}\b[^`\n]*`", commands), f"{path} is not in the README"
        for option in (each for each in command.params if isinstance(each, click.Option)):
            assert option.opts[-1] in README, f"{path} {option.opts[-1]} is not in the README"


def test_links_and_paths_in_the_readmes_exist() -> None:
    for text, base in ((README, REPOSITORY), (HOUSE, REPOSITORY / "edgebox")):
        for path in re.findall(
            r"`((?:scripts|systemd|edgebox|store|sync|upstream|devices|control|tests)/[\w./]+)`", text
        ):
            assert (base / path).exists() or (REPOSITORY / path).exists(), path


def test_the_readme_says_of_each_banner_what_to_do() -> None:
    """Whoever adds one has to say what the volunteers at the doors are to make of it."""
    tree = ast.parse((REPOSITORY / "edgebox" / "web" / "banners.py").read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    headlines = set()
    for call in (each for each in calls if isinstance(each.func, ast.Name) and each.func.id == "Banner"):
        texts = [node for node in ast.walk(call.args[1]) if isinstance(node, ast.Constant)]
        headlines |= {str(node.value) for node in texts if isinstance(node.value, str) and " " in node.value}
    assert len(headlines) > 10
    told = re.sub(r"\s+", " ", section(README, "The evening itself"))
    for headline in headlines:
        longest = max(re.split(r"%\(\w+\)s", headline), key=len).strip(" :")
        assert longest in told, f"what is to be done about {headline!r} is not in the README"
