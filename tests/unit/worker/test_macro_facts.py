"""Facts that macros need without Python are the same on both sides."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment

from dbt_rfm.evaluate.scores import LOWER_IS_BETTER
from dbt_rfm.versions.history import KIND_COLUMNS
from dbt_rfm.worker import bus

MACROS = Path(__file__).resolve().parents[3] / "macros"


def test__beats_baseline__knows_which_figures_are_errors() -> None:
    text = (MACROS / "generic_tests" / "beats_baseline.sql").read_text()
    found = re.search(r"set lower_is_better = (\[.*?\])", text)
    assert found and set(ast.literal_eval(found[1])) == LOWER_IS_BETTER


def test__rollback__knows_the_columns_of_each_kind() -> None:
    text = (MACROS / "bus" / "serve.sql").read_text()
    found = re.search(r"set kinds = (\{.*?\})", text, re.DOTALL)
    assert found
    assert {k: tuple(v) for k, v in ast.literal_eval(found[1]).items()} == {str(k): v for k, v in KIND_COLUMNS.items()}


def test__jobs_table__has_the_columns_of_the_bus() -> None:
    text = (MACROS / "bus" / "jobs.sql").read_text()
    found = re.search(r"create table if not exists \{\{ jobs \}\} \((.*?)\n      \)", text, re.DOTALL)
    assert found
    assert dict(line.split() for line in found[1].strip().split(",\n")) == bus.COLUMNS


@pytest.mark.parametrize(
    ("busy", "message", "poll", "said"),
    [
        (False, None, 0, ""),
        (False, None, 4, "waiting for a worker"),
        (True, None, 4, "waiting for its turn, workers are busy with other jobs"),
        (False, "its worker was stopped", 0, "waiting for a worker (its worker was stopped)"),
    ],
)
def test__progress_line__job_waits__says_what_for(busy: bool, message: str | None, poll: int, said: str) -> None:
    class Returned(Exception):
        """As dbt's return() does it: nothing after it is run."""

    def give_back(value: str) -> None:
        raise Returned(value)

    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals["return"] = give_back
    macros = environment.from_string((MACROS / "bus" / "wait.sql").read_text()).module
    with pytest.raises(Returned) as returned:
        macros.progress_line({"status": "queued", "message": message, "workers_are_busy": busy}, poll)
    assert returned.value.args == (said,)


def test__macros__take_the_time_from_the_warehouse_and_never_from_the_machine_of_dbt() -> None:
    asked = re.compile(r"datetime\.(now|utcnow|today)|run_started_at")
    found = {file.name for file in MACROS.rglob("*.sql") if asked.search(file.read_text())}
    assert found == set()
