"""The page says first whether to rely on a prediction, shows what was gathered, and trusts no text of a project."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser

import duckdb
import pyarrow as pa
import pytest
from published_predictions import ANCHOR, ROWS, published

from dbt_rfm.job import JobTarget
from dbt_rfm.report.gather import Meaning, Prediction, gather
from dbt_rfm.report.page import page, view
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

TARGET = JobTarget(None, "main", "churn")
NOW = ANCHOR + timedelta(days=3)
HOSTILE = "<script>alert('1')</script>\"&"


@pytest.fixture
def warehouse() -> DuckDB:
    return DuckDB(duckdb.connect())


def gathered(warehouse: DuckDB, kind: TaskKind = TaskKind.BINARY, **how: object) -> Prediction:
    words = {"Predicts": "whether the number of rows of orders is 0"}
    return gather(warehouse, published(warehouse, TARGET, kind, **how), Meaning(words, timedelta(days=30)))


def shown(*predictions: Prediction, now: datetime = NOW) -> str:
    return page(predictions, project="shop", now=now)


class _Tags(HTMLParser):
    """Tags and attributes of a page; fails where one is closed that was not opened."""

    VOID = ("meta", "line", "rect", "polyline", "polygon")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", TaskKind)
def test__page__every_kind__well_formed_and_needs_no_network(warehouse: DuckDB, kind: TaskKind) -> None:
    text = shown(gathered(warehouse, kind))
    tags = _Tags(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags.seen}
    assert "http" not in text and "url(" not in text
    drawn = {tag for tag, _ in tags.seen}
    assert "polygon" in drawn if kind == TaskKind.FORECAST else "rect" in drawn
    assert "How good it was" in text and "What is predicted" in text and "whether the number of rows of orders" in text


def test__page__names_queries_and_values_of_a_project__are_text(warehouse: DuckDB) -> None:
    rows = ROWS[TaskKind.MULTICLASS]
    rows = rows.set_column(2, "class", pa.array([HOSTILE, "food"] * 3))
    reasons = '[{"about": "<b>", "feature": "x=<i>", "value": "<u>", "usual": null, "effect": -0.1}]'
    rows = rows.append_column("reasons", pa.array([reasons] * 6))
    found = gather(
        warehouse,
        published(warehouse, JobTarget(None, "main", HOSTILE), TaskKind.MULTICLASS, rows, query=f"PREDICT {HOSTILE}"),
        Meaning({}, problem=HOSTILE),
    )
    text = page([found], project=HOSTILE, now=NOW)
    tags = _Tags(text)
    assert not {"script", "b", "i", "u"} & {tag for tag, _ in tags.seen}
    assert text.count("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;&amp;") >= 8


def test__verdict__beats_its_baselines__figure_beside_the_best_of_them(warehouse: DuckDB) -> None:
    said = view(gathered(warehouse), NOW)
    assert said.good and "auroc 0.800, entity history 0.700 (higher is better)" in said.verdict


def test__verdict__beats_no_baseline__said_in_plain_words_before_all_else(warehouse: DuckDB) -> None:
    text = shown(gathered(warehouse, beats=False, value=0.6))
    assert text.index("Do not rely on it") < text.index("How good it was")


def test__verdict__no_backtest__nobody_knows(warehouse: DuckDB) -> None:
    text = shown(gathered(warehouse, beats=None))
    assert "Nobody knows how good it is" in text and "How good it was" not in text


def test__figures__the_best_of_a_line_is_bold_and_the_deciding_line_first(warehouse: DuckDB) -> None:
    said = view(gathered(warehouse), NOW)
    assert said.baselines == ("constant", "entity history")
    assert [(f.name, f.decides) for f in said.figures] == [("auroc", True), ("ece", False)]
    assert said.figures[0].cells == (("0.800", True), ("0.500", False), ("0.700", False))
    assert said.figures[1].cells == (("0.100", True), ("–", False), ("–", False))


def test__notes__newer_versions_held_back__once_with_the_figures(warehouse: DuckDB) -> None:
    gathered(warehouse)
    for value in (0.6, 0.65):
        held = gathered(warehouse, beats=False, value=value, hold=True)
    (note,) = view(held, NOW).notes
    assert note.startswith("Version 3 ") and "auroc 0.650" in note and "so were 1 before it" in note


def test__notes__window_over__said_from_its_last_moment_on(warehouse: DuckDB) -> None:
    found, end = gathered(warehouse), ANCHOR + timedelta(days=30)
    assert view(found, end - timedelta(seconds=1)).notes == ()
    assert "ended on 2024-07-01" in " ".join(view(found, end).notes)


def test__history__versions_of_the_same_query_alone_oldest_first(warehouse: DuckDB) -> None:
    gathered(warehouse, query="PREDICT another", value=0.1)
    gathered(warehouse, value=0.75)
    assert view(gathered(warehouse, beats=False, value=0.6, hold=True), NOW).history is not None
    drawn = view(gathered(warehouse, query=" PREDICT\n…"), NOW).history
    assert [p.label for p in drawn.model] == [
        "version 2: auroc 0.750",
        "version 3: auroc 0.600",
        "version 4: auroc 0.800",
    ]
    assert [p.held for p in drawn.model] == [False, True, False]
    assert drawn.model[1].y > drawn.baseline[1].y > drawn.model[0].y  # worse is lower, and y points down


def test__history__one_version__no_line(warehouse: DuckDB) -> None:
    assert view(gathered(warehouse), NOW).history is None


def test__page__several_predictions__each_linked_from_the_top(warehouse: DuckDB) -> None:
    text = shown(gathered(warehouse), gathered(warehouse))
    anchors = re.findall(r'href="#(\w+)"', text)
    assert len(anchors) == 2 and all(f'id="{anchor}"' in text for anchor in anchors)


def test__page__table_without_rows__said_and_no_empty_drawings(warehouse: DuckDB) -> None:
    text = shown(gathered(warehouse, rows=ROWS[TaskKind.BINARY].slice(0, 0)))
    assert "It has no rows" in text and "What is predicted" not in text and "The ten" not in text
