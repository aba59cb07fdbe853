"""Agents ask what the command line is asked, and are told in words what they could write instead."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from dbt_rfm.cli.mcp import server_of
from dbt_rfm.cli.project import open_project

CHURN = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
Call = Callable[..., tuple[bool, str]]


@pytest.fixture
def call(project: Path, averages: None) -> Call:
    """Calls a tool of a server in this process; gives whether it failed, and what it said."""
    server = server_of(lambda: open_project(project, None, None))

    async def called(tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        async with Client(server) as client:
            result = await client.call_tool(tool, arguments)
            return bool(result.is_error), result.content[0].text  # type: ignore[union-attr]

    return lambda tool, **arguments: asyncio.run(called(tool, arguments))


def said(call: Call, tool: str, **arguments: Any) -> Any:
    failed, text = call(tool, **arguments)
    assert not failed, text
    return json.loads(text)


def test__schema__tables_of_the_project__with_keys_times_and_links(call: Call) -> None:
    found = said(call, "schema")
    orders = next(table for table in found["tables"] if table["name"] == "orders")
    assert (orders["primary_key"], orders["time_column"]) == (["order_id"], "ordered_at")
    assert [(link["child"], link["parent"]) for link in found["links"]] == [("orders", "customers")]


def test__check__query__is_read_back_and_counted(call: Call) -> None:
    found = said(call, "check", query=CHURN)
    assert found["kind"] == "binary" and found["examples"] == 660 and "next 30 days" in found["means"]


def test__predict__named_entities__their_answers_and_who_has_none(call: Call) -> None:
    found = said(call, "predict", query=CHURN, entities=["7", "777"])
    assert [row["customer_id"] for row in found["predictions"]] == [7] and found["rows"] == 1
    assert "no prediction for customers 777" in found["notes"][-1]
    assert "reasons" not in found


def test__predict__everybody__as_many_rows_as_asked_for(call: Call) -> None:
    found = said(call, "predict", query=CHURN, limit=3, explain=True)
    assert (len(found["predictions"]), found["rows"], len(found["reasons"])) == (3, 60, 3)


def test__evaluate__query__beside_its_baselines(call: Call) -> None:
    assert "entity history" in said(call, "evaluate", query=CHURN)["baselines"]


@pytest.mark.parametrize(
    ("tool", "arguments", "what_to_write"),
    [
        ("predict", {"query": CHURN.replace("orders", "order")}, "Did you mean orders?"),
        ("check", {"query": "PREDICT"}, "line 1"),
        ("check", {"query": CHURN, "at": "soon"}, "soon"),
        ("versions", {}, "`dbt build` publishes the first"),
    ],
)
def test__what_the_agent_could_mend__is_the_tool_s_error_in_words(
    call: Call, tool: str, arguments: dict[str, Any], what_to_write: str
) -> None:
    failed, text = call(tool, **arguments)
    assert failed and what_to_write in text and "Traceback" not in text


def test__what_nobody_foresaw__is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a wheel came off\nand another")

    monkeypatch.setattr("dbt_rfm.cli.mcp.published", fails)
    failed, text = call("versions")
    assert failed and "unexpected RuntimeError: a wheel came off" in text and "another" not in text


def test__predict__no_rows_asked_for__is_refused(call: Call) -> None:
    failed, text = call("predict", query=CHURN, limit=0)
    assert failed and "limit is 0, expected 1 or more" in text


def test__tools__say_that_they_read_only(project: Path) -> None:
    async def listed() -> Any:
        async with Client(server_of(lambda: open_project(project, None, None))) as client:
            return (await client.list_tools()).tools, client.instructions

    tools, instructions = asyncio.run(listed())
    assert {tool.name for tool in tools} == {"schema", "check", "predict", "evaluate", "versions"}
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)
    assert "FOR EACH" in instructions


def test__command__on_stdin_and_stdout__answers_and_leaves_the_database_to_others(
    project: Path, tmp_path: Path
) -> None:
    script = tmp_path / "dbt-rfm.py"  # as the installed command: where there is no file, DuckDB shows a bar on stdout
    script.write_text("from dbt_rfm.cli import main; main()")
    started = StdioServerParameters(
        command=sys.executable,
        args=[str(script), "mcp", "--project-dir", str(project)],
        env={**os.environ, "DBT_PROFILES_DIR": str(project)},
    )

    async def asked() -> str:
        async with Client(started) as client:
            result = await client.call_tool("check", {"query": CHURN})
            duckdb.connect(str(project / "shop.duckdb")).close()  # as dbt would, to build
            return result.content[0].text  # type: ignore[union-attr]

    assert json.loads(asyncio.run(asked()))["examples"] == 660
