"""What all commands share: errors as one message, exit codes, a quick start."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from dbt_rfm.cli import app, main
from dbt_rfm.errors import DataError

COMMANDS = (
    "demo", "schema", "check", "predict", "evaluate", "versions", "rollback", "bench", "pretrain", "step", "report"
)  # fmt: skip


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def test__help__no_command__lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert [c for c in COMMANDS if c not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test__help__of_a_command__ends_with_success(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert command in capsys.readouterr().out


def test__version__printed() -> None:
    from dbt_rfm import __version__

    done = subprocess.run(
        [sys.executable, "-c", "from dbt_rfm.cli import main; main(['--version'])"], capture_output=True, text=True
    )
    assert done.stdout == f"dbt-rfm {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [("predict",), ("predikt", "x"), ("bench", "x", "--split", "tset"), ("rollback", "m", "--version", "one")],
)
def test__usage_error__exit_code_is_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "Usage" in capsys.readouterr().err


def test__error_of_ours__printed_as_it_is_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", str(tmp_path)) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path} holds no database" in error and "Traceback" not in error


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `step` that meets what nobody foresaw."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("dbt_rfm.snapshot.read_bundle", fail)


def test__unforeseen_error__one_line_and_a_pointer(failing: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("step", "bundle", "out.parquet") == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("unexpected ZeroDivisionError: by.") and "--debug" in error and "\n" not in error


@pytest.mark.parametrize("arguments", [("--debug", "step", "b", "o"), ("step", "b", "o", "--debug")])
def test__unforeseen_error__debug_anywhere__raises(failing: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ZeroDivisionError):
        main(arguments)


def test__message__red_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    app._print_red(str(DataError("3 of 9 rows", hint="look")))
    assert capsys.readouterr().err == "3 of 9 rows\n  look\n"


def test__garbage_collection__after_a_command__is_as_it_was() -> None:
    usual = gc.get_threshold()
    run("predict", "--help")
    assert gc.get_threshold() == usual


def test__start__help__loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from dbt_rfm.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        "print(sorted({'torch', 'duckdb', 'pyarrow', 'numpy', 'sqlglot', 'lark', 'dbt', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
