"""`dbt-rfm mcp`: the questions of the command line for agents, by the Model Context Protocol on stdin and stdout.

Each call opens the project anew, read-only, so that dbt may build between two calls and nothing an agent asks changes
anything. Calls wait for each other. What the user could mend comes back as the tool's error, in words.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import typer

from dbt_rfm.cli.arguments import ProfilesDir, ProjectDir, Target, Vars
from dbt_rfm.cli.asked import SHOWN_ROWS, checked, evaluated, predicted, published
from dbt_rfm.errors import ProjectError

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from dbt_rfm.cli.project import OpenedProject

_HOW_TO_ASK = """\
Predictions about the tables of a dbt project, from their past. Nothing here writes.

Begin with `schema`, which has the tables, keys, times and links; write a query; `check` it, which says what it means
and what it would learn from; then `predict`. `evaluate` says how good such predictions were for the newest closed
window.

A query: PREDICT target FOR EACH table.primary_key [WHERE condition]
  COUNT(orders.*, 0, 30, days) = 0             whether there will be no order in the next 30 days
  SUM(orders.amount, 0, 60, days)              a number; also COUNT, AVG, MIN, MAX, COUNT_DISTINCT
  FIRST(orders.category, 0, 60, days)          a class; also LAST, MODE
  customers.segment                            a column of the entity itself, where it is missing
  LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 10   a list of items
  SUM(orders.amount, 0, 7, days) FORECAST 8 TIMEFRAMES        week by week
Windows count from now: 0, 30 is the future, -90, 0 the past. Rows are filtered inside, as in
COUNT(orders.* WHERE orders.amount > 100, 0, 30, days). WHERE says who counts:
FOR EACH customers.customer_id WHERE COUNT(orders.*, -90, 0, days) > 0
Name `entities` where you can: a few are answered in about a second, everybody in minutes. `explain` says what moves an
answer away from the usual one; these are reasons of the model, not causes in the world.
"""


def register(app: typer.Typer) -> None:
    app.command()(mcp)


def mcp(
    project_dir: ProjectDir = None, profiles_dir: ProfilesDir = None, target: Target = None, variables: Vars = None
) -> None:
    """Answer agents, by the Model Context Protocol on stdin and stdout.

    Give an agent the command `dbt-rfm mcp --project-dir DIR`. It reads and never writes.
    """
    from dbt_rfm.cli.project import open_project

    server_of(lambda: open_project(project_dir, profiles_dir, target, variables)).run("stdio")


def server_of(opened: Callable[[], AbstractContextManager[OpenedProject]]) -> MCPServer:
    """A server whose tools ask the project that `opened` opens."""
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    from dbt_rfm import __version__

    server = MCPServer("dbt-rfm", instructions=_HOW_TO_ASK, version=__version__, log_level="WARNING")
    tools, reads = _Tools(opened), ToolAnnotations(read_only_hint=True, open_world_hint=False)
    for tool in (tools.schema, tools.check, tools.predict, tools.evaluate, tools.versions):
        server.tool(annotations=reads, structured_output=False)(tool)
    return server


class _Tools:
    """Their names, arguments and docstrings are what an agent is told of them; each answers with JSON."""

    def __init__(self, opened: Callable[[], AbstractContextManager[OpenedProject]]) -> None:
        self._opened, self._one_at_a_time = opened, threading.Lock()

    def schema(self) -> str:
        """The tables that can be asked about: columns with types and roles, primary keys, time columns, links.

        A question mark in a role: inferred, not declared.
        """
        return self._answered(_schema)

    def check(self, query: str, at: str | None = None, label_delay: str | None = None) -> str:
        """Read a query back in words and count what it would learn from; no prediction is made.

        `at`: as of that moment instead of the newest event. `label_delay`: of a column of events, when it is known: so
        long after the event, such as 7 days, or by a moment of its row, such as due_at.
        """
        return self._answered(lambda project: checked(project, query, at=at, label_delay=label_delay).as_json())

    def predict(
        self,
        query: str,
        entities: list[str] | None = None,
        at: str | None = None,
        label_delay: str | None = None,
        thorough: bool = False,
        explain: bool = False,
        limit: int = SHOWN_ROWS,
    ) -> str:
        """Answer a query.

        `entities`: keys to answer, quickly; without them everybody is answered, and the first `limit` rows are given.
        `thorough`: answer named ones as a build would. `explain`: what moves each answer away from the usual one.
        `at` and `label_delay` as of `check`.
        """

        def ask(project: OpenedProject) -> dict[str, Any]:
            if limit < 1:
                raise ProjectError(f"limit is {limit}, expected 1 or more")
            named = entities or ()
            said = predicted(
                project,
                query,
                entities=named,
                at=at,
                label_delay=label_delay,
                thorough=thorough,
                why=explain,
                limit=limit,
            )
            notes = [note for note in [said.missing(named)] if note]
            found = said.as_json(limit)
            return found | {"rows": len(said.result.predictions), "notes": [*found["notes"], *notes]}

        return self._answered(ask)

    def evaluate(self, query: str, at: str | None = None, label_delay: str | None = None) -> str:
        """How good predictions of a query were for the newest closed window, beside simple baselines. Takes minutes."""
        return self._answered(lambda project: evaluated(project, query, at=at, label_delay=label_delay).as_json())

    def versions(self, model: str | None = None) -> str:
        """The published versions of the project's prediction models, with their queries, backtests and status."""
        return self._answered(lambda project: published(project, model))

    def _answered(self, ask: Callable[[OpenedProject], Any]) -> str:
        from mcp.server.mcpserver.exceptions import ToolError

        from dbt_rfm.cli.app import message_of
        from dbt_rfm.cli.console import without_nan

        try:
            with self._one_at_a_time, self._opened() as project:
                return json.dumps(without_nan(ask(project)), default=str, ensure_ascii=False)
        except Exception as error:
            raise ToolError(message_of(error)) from error


def _schema(project: OpenedProject) -> dict[str, Any]:
    from dbt_rfm.schema.from_job import schema_from_job
    from dbt_rfm.schema.render import as_values

    return as_values(schema_from_job(project.job(""), project.warehouse))
