"""Every corruption on the tiny suite: what it changes, and that a run with it gives figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from asking import OwnHistory
from sqlglot import exp

from dbt_rfm.bench import suite as suites
from dbt_rfm.bench.corruption import (
    CLEAN,
    CORRUPTIONS,
    NEVER,
    NOISE_COLUMNS,
    NOISE_ROWS,
    DoesNotApplyError,
    Loaded,
    is_forgotten,
)
from dbt_rfm.bench.robustness import Curve, markdown, measure
from dbt_rfm.bench.run import Settings
from dbt_rfm.bench.suite import Dataset, SuiteTask, read_suite
from dbt_rfm.snapshot import QUERY
from dbt_rfm.warehouse.duckdb import DuckDB

MOMENT = datetime(2024, 4, 1)


@pytest.fixture
def dataset(suite: Path) -> Dataset:
    return read_suite(suite)[0]


@pytest.fixture
def spend(dataset: Dataset) -> SuiteTask:
    return next(t for t in dataset.tasks if t.name == "spend")


def _rows(dataset: Dataset, task: SuiteTask, name: str, table: str = "orders") -> list[dict[str, Any]]:
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        CORRUPTIONS[name].load(task, MOMENT, dataset, warehouse)
        return warehouse.query(exp.select("*").from_(exp.to_identifier(table)).order_by("1")).to_pylist()


def test__missing_cells__share__hits_numbers_and_no_key_or_time(dataset: Dataset, spend: SuiteTask) -> None:
    rows = _rows(dataset, spend, "30 % of cells missing")
    assert 0.2 < sum(r["amount"] is None for r in rows) / len(rows) < 0.4
    assert all(None not in (r["id"], r["shopper_id"], r["at"]) for r in rows)
    assert [r["amount"] is None for r in rows] != [r["item"] is None for r in rows]


def test__missing_cells__larger_share__hits_the_same_cells_and_more(dataset: Dataset, spend: SuiteTask) -> None:
    few, many = (
        {r["id"] for r in _rows(dataset, spend, f"{share} % of cells missing") if r["amount"] is None}
        for share in (10, 50)
    )
    assert few < many


def test__wrong_keys__a_share__point_at_parents_of_earlier_rows(dataset: Dataset, spend: SuiteTask) -> None:
    clean, wrong = (_rows(dataset, spend, name) for name in (CLEAN, "20 % of foreign keys wrong"))
    moved = [(a, b) for a, b in zip(clean, wrong, strict=True) if a["shopper_id"] != b["shopper_id"]]
    assert 0.1 < len(moved) / len(clean) <= 0.25
    first = {}
    for row in sorted(clean, key=lambda r: r["at"]):
        first.setdefault(row["shopper_id"], row["at"])
    assert all(first[b["shopper_id"]] <= b["at"] for _, b in moved)
    assert len({b["shopper_id"] for _, b in moved}) > 20
    assert [r["amount"] for r in clean] == [r["amount"] for r in wrong]


def test__wrong_keys__later_rows_deleted__change_no_earlier_key(dataset: Dataset, spend: SuiteTask) -> None:
    """Else a wrong key would tell who is busy later."""
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        suites.load_tables(dataset, warehouse)
        early = exp.select("*").from_("orders").where("\"at\" < CAST('2024-03-01' AS TIMESTAMP)")
        warehouse.create_temporary("orders", early)
        CORRUPTIONS["20 % of foreign keys wrong"].change(Loaded(dataset, spend, warehouse, MOMENT))
        alone = warehouse.query(exp.select("*").from_("orders").order_by("1")).to_pylist()
    whole = _rows(dataset, spend, "20 % of foreign keys wrong")
    assert alone == [r for r in whole if r["at"] < datetime(2024, 3, 1)]


def test__wrong_units__half_of_the_asked_column__times_1000(dataset: Dataset, spend: SuiteTask) -> None:
    clean, wrong = (_rows(dataset, spend, name) for name in (CLEAN, "wrong units in half of a column"))
    ratios = [b["amount"] / a["amount"] for a, b in zip(clean, wrong, strict=True)]
    assert set(ratios) == {1.0, 1000.0} and 0.4 < ratios.count(1000.0) / len(ratios) < 0.6
    assert [r["item"] for r in clean] == [r["item"] for r in wrong]


def test__irrelevant_table__columns__are_linked_and_vary(dataset: Dataset, spend: SuiteTask) -> None:
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        schema = CORRUPTIONS["irrelevant table of 50 columns"].load(spend, MOMENT, dataset, warehouse)
        rows = warehouse.query(exp.select("*").from_("noise")).to_pylist()
    assert ("noise", "shoppers") in {(link.child, link.parent) for link in schema.links}
    assert len(rows) == 40 * NOISE_ROWS and len({r["noise_id"] for r in rows}) == len(rows)
    assert len(rows[0]) == NOISE_COLUMNS + 2
    assert len({r["x0"] for r in rows}) > len(rows) * 0.9 and all(0 <= r["x7"] < 1 for r in rows)
    assert rows[0]["x0"] != rows[0]["x1"]


def test__no_history__a_fifth_of_the_entities__lose_rows_and_known_labels(dataset: Dataset, spend: SuiteTask) -> None:
    corruption = CORRUPTIONS["a fifth of entities without history"]
    new = {each for each in range(40) if is_forgotten(each, 0.2)}
    left = {r["shopper_id"] for r in _rows(dataset, spend, "a fifth of entities without history")}
    assert 0 < len(new) < 20 and left == set(range(40)) - new
    chosen = corruption.choose(dataset, spend, protocol="rolling", split="val")
    labels = chosen.labels.filter(pc.is_in(chosen.labels["entity"], pc.cast(list(new), "int64")))
    assert set(labels["known_at"].to_pylist()) == {NEVER}
    assert new <= set(labels.filter(pc.equal(labels["split"], QUERY))["entity"].to_pylist())
    assert not new & set(chosen.pool["entity"].to_pylist())


@pytest.mark.parametrize(
    ("name", "early", "late"),
    [("column dropped at the split", True, False), ("column added at the split", False, True)],
)
def test__column_changes__at_the_split(dataset: Dataset, spend: SuiteTask, name: str, early: bool, late: bool) -> None:
    rows = _rows(dataset, spend, name)
    assert {r["amount"] is not None for r in rows if r["at"] < MOMENT} == {early}
    assert {r["amount"] is not None for r in rows if r["at"] >= MOMENT} == {late}


def test__renamed_column__values__go_on_under_the_new_name(dataset: Dataset, spend: SuiteTask) -> None:
    clean, renamed = (_rows(dataset, spend, name) for name in (CLEAN, "column renamed at the split"))
    for before, after in zip(clean, renamed, strict=True):
        here, gone = ("amount", "amount_v2") if before["at"] < MOMENT else ("amount_v2", "amount")
        assert after[here] == before["amount"] and after[gone] is None


def test__column_changes__no_number_to_change__says_so(dataset: Dataset, spend: SuiteTask) -> None:
    bare = replace(dataset, tables=(dataset.tables[0],), links=())
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        suites.load_tables(bare, warehouse)
        with pytest.raises(DoesNotApplyError, match=r"no table of events of tiny\.spend has a number"):
            CORRUPTIONS["column dropped at the split"].change(Loaded(bare, spend, warehouse, MOMENT))


def test__measure__every_corruption__gives_figures_of_model_and_peers(dataset: Dataset, spend: SuiteTask) -> None:
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    settings = Settings(model="own", split="val", context=60, rows=20)
    curve = measure(dataset, spend, OwnHistory(), settings)
    assert not curve.missing and set(curve.figures) == set(CORRUPTIONS)
    assert all(set(each) == {"own", "lightgbm", "linear"} for each in curve.figures.values())
    assert len({each["linear"] for each in curve.figures.values()}) > 5
    lines = markdown(curve)
    assert len(lines) == 4 + len(CORRUPTIONS) and all(line.count("|") == 8 for line in lines[2:])


def test__markdown__corruption_that_does_not_apply__is_said() -> None:
    figures = {CLEAN: {"rfm": 0.8, "lightgbm": 0.75}, "10 % of cells missing": {"rfm": 0.79, "lightgbm": 0.7}}
    curve = Curve("a.b", "auroc", "rfm", "v", 10, 20, figures, {"column added at the split": "no number"})
    lines = markdown(curve)
    assert lines[4:] == [
        "| clean | 80.0 |  | 75.0 |  |",
        "| 10 % of cells missing | 79.0 | -1.0 | 70.0 | -5.0 |",
        "| column added at the split | does not apply |  |  |  |",
    ]
