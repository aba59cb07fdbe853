"""docs/cli.md and docs/bench.md name every command and every option, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbt_rfm.cli.app import app

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "cli.md").read_text() + (DOCS / "bench.md").read_text()


def _commands() -> dict[str, set[str]]:
    import typer

    group = typer.main.get_command(app)
    names = group.list_commands(typer.Context(group))
    return {n: {o for p in group.get_command(typer.Context(group), n).params for o in p.opts} for n in names}


COMMANDS = _commands()


@pytest.mark.parametrize("command", COMMANDS)
def test__docs__command__is_in_the_table_with_its_options(command: str) -> None:
    assert re.search(rf"^\| `{command}\b", TEXT, re.M)
    options = {o for o in COMMANDS[command] if o.startswith("--")} - {"--help"}
    assert [o for o in sorted(options) if not re.search(rf"{o}\b", TEXT)] == []


def test__docs__every_option_named__exists() -> None:
    known = {o for options in COMMANDS.values() for o in options} | {"--help", "--debug", "--version"}
    named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", TEXT))
    assert named - known == set()
