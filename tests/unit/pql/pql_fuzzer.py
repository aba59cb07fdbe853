"""Hostile input for the query language: texts derived from the grammar itself, and texts damaged byte by byte.

Whatever the text: a bound task or a QueryError that points into it, within seconds, never another exception; and the
SQL of a task reads nothing but tables of the graph and session tables, in every dialect, and runs on DuckDB.

    make fuzz                                     # 100,000 texts
    python tests/unit/pql/pql_fuzzer.py 5000 7    # as many, from another seed

Each text comes from its own seed, which a failure prints: `fuzz(1, seed)` is that text again.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import duckdb
from lark.grammar import Terminal
from shop_schema import SHOP
from sqlglot import exp, parse_one

from dbt_rfm.errors import QueryError
from dbt_rfm.plan.features import derived_of
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import eligible_select, labels_select
from dbt_rfm.pql.ast import UNITS
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.keys import schema_for
from dbt_rfm.pql.parser import _grammar, parse
from dbt_rfm.pql.task import Task
from dbt_rfm.pql.tree import AGGREGATIONS
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.snowflake_sql import SnowflakeRfm

SECONDS = 5  # of the processor, at most for one text, whatever else the machine does
DIALECTS = ("duckdb", SnowflakeRfm.__name__.lower(), "postgres")
SESSION = {"anchors"}
_DEEP = 14  # derivations: beyond, the shortest expansion is taken
_NASTY = [
    *("'", "''", '"', "`", "\\", "%", ";", "--", "#", "/*", "*/", "$$", "{{", "}}", "(", ")", ",", ".", "..", "\n"),
    *("\0", "\ufeff", "\u202e", "\ud7ff", "é", "🎲", "１", "\t", "1e999", "-", "+", "0x1F", "NaN", "-INF", "INF"),
    *("'; drop table x; --", "read_csv('/etc/passwd')", "pg_sleep(9)", "NOT " * 60, "(" * 200, "9" * 60, "a" * 5_000),
    *("UNION SELECT * FROM secrets", "information_schema.tables", "customers; attach 'x'", "COUNT(orders.*,0,3)+" * 70),
]


def fuzz(number: int, seed: int = 0) -> Counter[str]:
    """Try `number` texts; how many were refused by the parser, by the binder, and how many bound and ran."""
    found: Counter[str] = Counter()
    for one in range(seed, seed + number):
        text = text_of(one)
        started = time.process_time()
        try:
            found[_try(text)] += 1
        except Exception as error:
            raise AssertionError(f"seed {one}: {text!r} gave {type(error).__name__}: {error}") from error
        spent = time.process_time() - started
        assert spent < SECONDS, f"seed {one}: {text!r} took {spent:.0f} s"
    return found


def text_of(seed: int) -> str:
    draw = Draw(seed)
    text = _sensible(draw) if draw.random() < 0.5 else " ".join(_derived(draw, "start", 0))
    kind = draw.random()
    if kind < 0.6:
        return text
    if kind < 0.95:
        return _damaged(draw, text)
    return bytes(draw.randrange(256) for _ in range(draw.randrange(80))).decode("utf-8", "replace")


def _try(text: str) -> str:
    try:
        query = parse(text)
    except QueryError as error:
        _check_error(error, text)
        return "refused by the parser"
    try:
        schema = schema_for(query, SHOP, "duckdb")
        task = bind(query, schema)
    except QueryError as error:
        _check_error(error, text)
        return "refused by the binder"
    assert describe(task).startswith("Predicts")
    task = replace(task, kind=TaskKind.REGRESSION) if task.kind is TaskKind.FORECAST else task
    if task.ranking is not None or task.of_events:
        return "bound, with SQL of its own"
    check_sql(task, schema)
    _run(task, schema)
    return "bound and run"


def _check_error(error: QueryError, text: str) -> None:
    assert error.problem.strip() and "\n" not in error.problem.split("\n    ")[0]
    assert error.position is None or 0 <= error.position <= len(text)


def check_sql(task: Task, schema: RelationalSchema) -> None:
    """The SQL of the labels, in each dialect, reads tables of the graph, its own steps and session tables only."""
    for dialect in DIALECTS:
        allowed = {parse_one(f"select * from {t.relation}", dialect=dialect).find(exp.Table).sql() for t in SHOP.tables}
        graph = Graph(schema, dialect)
        for select in (labels_select(task, graph, "anchors"), eligible_select(task, graph, "anchors")):
            written = parse_one(select.sql(dialect=dialect), dialect=dialect)
            assert isinstance(written, exp.Select), "one SELECT and nothing else"
            steps = {step.alias for step in written.find_all(exp.CTE)} | SESSION
            for table in written.find_all(exp.Table):
                named = exp.Table(this=table.this, db=table.args.get("db"), catalog=table.args.get("catalog"))
                assert isinstance(table.this, exp.Identifier), f"{table.sql()} is no table"
                assert (not table.db and table.name in steps) or named.sql() in allowed, f"{table.sql()} is read"
    for derived in derived_of(task):
        assert not list(derived.expression("r0").find_all(exp.Table, exp.Subquery))


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """The shop with a few rows in its tables: ones, noughts, nulls and large numbers, before and after the anchor."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("create schema shop; create table anchors as select timestamp '2024-06-30' as anchor_time")
    for table in SHOP.tables:
        columns = ", ".join(f'"{c.name}" {c.data_type}' for c in table.columns)
        connection.execute(f"create table {table.relation} ({columns})")
        for i in range(6):
            values = ", ".join("null" if i == 5 else _value(c.data_type, i) for c in table.columns)
            connection.execute(f"insert into {table.relation} values ({values})")
    return connection


def _value(data_type: str, i: int) -> str:
    if data_type.startswith(("TIMESTAMP", "DATE")):
        return f"'2024-{2 * i + 1:02}-15'"
    if data_type in ("VARCHAR", "JSON"):
        return ["'1'", "'2'", "'null'", "'3'", "'{}'"][i]
    if data_type == "BOOLEAN":
        return str(i % 2 == 0)
    return ["0", "1", "2", "-1", "99999999" if "INT" in data_type or "DEC" in data_type else "1e300"][i]


def _run(task: Task, schema: RelationalSchema) -> None:
    graph = Graph(schema, "duckdb")
    for select in (labels_select(task, graph, "anchors"), eligible_select(task, graph, "anchors")):
        _database().execute(select.sql(dialect="duckdb")).fetchall()


# --- texts

_AHEAD = [(0, 30), (0, 1), (7, 30), (0, 12)]
_BACK = [(-90, 0), (-30, -1), ("-INF", 0), ("-INF", -7)]


class Draw(random.Random):
    """Random choices, and which windows are drawn at present."""

    windows: list[tuple[object, int]] = _AHEAD + _BACK


def _sensible(draw: Draw) -> str:
    """A query whose windows look the right way: most of these bind."""
    draw.windows = _AHEAD
    target = _derived(
        draw, draw.choice(["sum", "sum", "condition", "condition", "column"]), _DEEP - draw.choice([0, 2, 4, 8])
    )
    text = f"PREDICT {' '.join(target)}"
    text += draw.choice([""] * 9 + [" FORECAST 3 TIMEFRAMES", " RANK TOP 5", " CLASSIFY"])
    entity = draw.choice(["customers.customer_id"] * 8 + ["orders.order_id", "lines.(order_id, line_no)"])
    text += f" FOR EACH {entity}"
    draw.windows = _BACK
    if draw.random() < 0.6:
        text += f" WHERE {' '.join(_derived(draw, 'condition', _DEEP - 6))}"
    draw.windows = _AHEAD[:2]
    if draw.random() < 0.1:
        text += f" ASSUMING {' '.join(_derived(draw, 'condition', _DEEP - 2))}"
    return text


def _damaged(draw: Draw, text: str) -> str:
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        start = draw.randrange(len(text) + 1)
        end = min(start + draw.randrange(12), len(text))
        how = draw.randrange(5)
        if how == 0:
            text = text[:start] + text[end:]
        elif how == 1:
            text = text[:start] + draw.choice(_NASTY) + text[end:]
        elif how == 2:
            text = text[:start] + text[start:end] * draw.choice([2, 3, 40]) + text[end:]
        elif how == 3:
            text = text[:start] + chr(draw.choice([draw.randrange(128), draw.randrange(0xD800)])) + text[end:]
        else:
            raw = bytearray(text.encode("utf-8", "replace"))
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
            text = raw.decode("utf-8", "replace")
    return text


def _derived(draw: Draw, symbol: str, depth: int) -> Iterator[str]:
    """Tokens of a random derivation; most names and windows are such that the query has a chance to bind."""
    share, likely = _LIKELY.get(symbol, (0.0, str))
    if draw.random() < share:
        yield likely(draw)
        return
    rules = _rules()[symbol]
    if depth > _DEEP or draw.random() < 0.6:
        least = min(_cost(expansion) for expansion in rules)
        rules = [expansion for expansion in rules if _cost(expansion) == least]
    for part in draw.choice(rules):
        if part.is_term:
            yield (
                draw.choice(AGGREGATIONS)
                if symbol == "aggregation" and part.name == "WORD"
                else _token(draw, part.name)
            )
        else:
            yield from _derived(draw, part.name, depth + 1)


@cache
def _rules() -> dict[str, list[tuple]]:
    found: dict[str, list[tuple]] = {}
    for rule in _grammar().rules:
        found.setdefault(str(rule.origin.name), []).append(tuple(rule.expansion))
    return found


@cache
def _height(symbol: str, seen: frozenset[str] = frozenset()) -> float:
    if symbol in seen:
        return float("inf")
    return 1 + min(_cost(expansion, seen | {symbol}) for expansion in _rules()[symbol])


def _cost(expansion: tuple, seen: frozenset[str] = frozenset()) -> float:
    return max((0 if isinstance(part, Terminal) else _height(str(part.name), seen) for part in expansion), default=0)


def _token(draw: Draw, name: str) -> str:
    sampled = _TOKENS.get(name)
    if sampled is not None:
        return draw.choice(sampled)
    pattern = next(t.pattern for t in _grammar().terminals if t.name == name)
    word = pattern.value.removesuffix(r"\b").replace("timeframes?", "timeframes").replace("\\", "")
    return word.upper() if draw.random() < 0.9 else word


_TABLES = [t.name for t in SHOP.tables]
_TOKENS = {
    "WORD": [*AGGREGATIONS, *UNITS, *_TABLES, "amount", "status", "day", "x", "größe"],
    "QUOTED": ["`orders`", "`customers`", "`a``b`", "`order list`"],
    "INT": ["0", "1", "7", "30", "-30", "+5", "-1", "12", "99999999999", "9" * 39],
    "DECIMAL": ["0.5", "-2.25", "1e3", ".5", "1e-9", "3.", "1e38"],
    "INFINITY": ["-INF", "- inf", "inf", "-Infinity"],
    "STRING": ["'a'", "''", "'it''s'", "'%_\\'", "'2024-02-30'", "'7'", "'true'", "'é🎲'", "'; drop table x --'"],
    "DATETIME": ["2024-02-29", "2024-13-01", "0001-01-01", "2024-01-31T12:30:00Z", "9999-12-31 23:59:59.9"],
}


def _column(draw: Draw) -> str:
    table = draw.choice([t for t in SHOP.tables if t.name in ("orders", "customers", "order_items")] + [*SHOP.tables])
    any_of = [*(c.name for c in table.columns), "*"]
    return f"{table.name}.{draw.choice(any_of if draw.random() < 0.3 else _numbers(table))}"


def _numbers(table) -> list[str]:
    return [c.name for c in table.columns if c.semantic_type == "numerical"] or [table.columns[0].name]


def _entity(draw: Draw) -> str:
    return draw.choice(
        ["customers.customer_id"] * 5 + ["stores.store_id", "orders.order_id", "lines.(order_id, line_no)"]
    )


def _window(draw: Draw) -> str:
    start, end = draw.choice(draw.windows)
    return f", {start}, {end}" + draw.choice(["", ", days", ", months", ", hour", ", weeks"][: draw.choice([2, 5])])


def _aggregation(draw: Draw) -> str:
    table = draw.choice(["orders", "orders", "order_items", "lines", draw.choice(["notes", "orders"])])
    numbers = _numbers(SHOP.table(table))
    what = draw.choice([f"COUNT({table}.*", *(f"{f}({table}.{draw.choice(numbers)}" for f in AGGREGATIONS[:-1])])
    inner = " WHERE " + " ".join(_derived(draw, "condition", _DEEP - 4)) if draw.random() < 0.2 else ""
    return f"{what}{inner}{_window(draw)})"


def _comparison(draw: Draw) -> str:
    columns = ["customers.segment", "customers.about", "stores.region", "customers.email", "orders.status"]
    texts = [
        "LIKE '%a_'",
        "NOT LIKE '\\'",
        "CONTAINS 'é'",
        "STARTS WITH 'it''s'",
        "ENDS WITH '%'",
        "IN ('a', 'b')",
        "!= 'x'",
        "<> 'x'",
    ]
    numbers = ["> 3", "<= -0.5", "= customers.age + 1", "IS NULL", "NOT IN (1, 2)", f">= {_aggregation(draw)}"]
    if draw.random() < 0.5:
        return f"{draw.choice(columns)} {draw.choice(texts)}"
    return f"{draw.choice([_aggregation(draw), 'customers.age', 'stores.size'])} {draw.choice(numbers)}"


#: symbol -> how often it is this text instead of a derivation of the grammar
_LIKELY: dict[str, tuple[float, Callable[[Draw], str]]] = {
    "column": (0.9, _column),
    "entity": (0.93, _entity),
    "window": (0.93, _window),
    "aggregation": (0.8, _aggregation),
    "factor": (0.75, _aggregation),
    "comparison": (0.7, _comparison),
}


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.monotonic()
    for outcome, count in fuzz(asked, first).most_common():
        print(f"{count:8,} {outcome}")
    print(f"{asked:8,} texts in {time.monotonic() - began:.0f} s")
