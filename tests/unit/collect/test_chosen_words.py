"""Which texts a snapshot has, which words of them models read, and that a bundle answers as the warehouse did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_schema import schema, table

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import ModelError
from dbt_rfm.model import load_model
from dbt_rfm.model.examples import examples_at, feature_table, split_rows
from dbt_rfm.model.families.rfm import adapt
from dbt_rfm.model.interface import Labelled
from dbt_rfm.model.keeping import Keeping
from dbt_rfm.model.step import run_step
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import RelationalSchema, SemanticType
from dbt_rfm.snapshot import (
    BACKTEST,
    BACKTEST_CONTEXT,
    CONTEXT,
    OF_WORD,
    QUERY,
    TEXT,
    Snapshot,
    read_bundle,
    write_bundle,
)
from dbt_rfm.warehouse.duckdb import DuckDB

QUIET = "PREDICT COUNT(tickets.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
PRIORITY = "PREDICT tickets.priority FOR EACH tickets.ticket_id"
WEEKLY = "PREDICT COUNT(tickets.*, 0, 7, days) FORECAST 2 TIMEFRAMES FOR EACH customers.customer_id"
_SUBJECT = "['refund please', 'Вход не работает', 'wait', '!', NULL][1 + (i + k) % 5]"


def with_texts(kind: SemanticType = SemanticType.TEXT) -> RelationalSchema:
    tickets = table(
        "tickets",
        time="opened_at",
        ticket_id="INTEGER",
        customer_id="INTEGER",
        opened_at="TIMESTAMP",
        subject="VARCHAR",
        priority="VARCHAR",
    )
    columns = (replace(c, semantic_type=kind) if c.name == "subject" else c for c in tickets.columns)
    customers = table("customers", customer_id="INTEGER")
    return schema(
        replace(tickets, columns=tuple(columns)), customers, links={"tickets.customer_id": "customers.customer_id"}
    )


@pytest.fixture()
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Sixty customers with a ticket every few weeks; of the newest tickets nobody knows the priority."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        f"""
        create table customers as select i::int as customer_id from range(60) t(i);
        create table tickets as
        select (i * 100 + k)::int as ticket_id, i::int as customer_id,
            timestamp '2024-07-01' - to_days((k * (7 + i % 23))::int) as opened_at, {_SUBJECT} as subject,
            case when k > 0 then case when (i + k) % 5 = 0 then 'high' else 'low' end end as priority
        from range(60) t(i), range(12) s(k)
        """
    )
    yield connection
    connection.close()


def snapshot(connection, query: str = QUIET, *, brief: bool = False, kind=SemanticType.TEXT, **options) -> Snapshot:
    made = with_texts(kind)
    return collect(bind(parse(query), made), made, DuckDB(connection), Options(**options), brief=brief)


def texts(found: Snapshot) -> list[str]:
    return [f.name for f in found.features_meta if f.kind == TEXT]


def test__snapshot__texts__of_the_newest_row_and_of_the_row_itself(connection) -> None:
    assert texts(snapshot(connection)) == ["tickets.subject.last"]
    assert texts(snapshot(connection, PRIORITY)) == ["tickets.subject"]


def test__snapshot__quick_answer_forecast_model_of_rows_or_no_text__has_no_texts(connection) -> None:
    others = [
        snapshot(connection, brief=True),
        snapshot(connection, WEEKLY),
        snapshot(connection, model="graph_transformer"),
        snapshot(connection, kind=SemanticType.CATEGORICAL),
    ]
    for found in others:
        assert texts(found) == [] and not any(found.words.values())


def test__snapshot__long_text__its_first_400_characters(connection) -> None:
    connection.execute("update tickets set subject = 'long ' || repeat('é', 900) where subject = 'wait'")
    told = snapshot(connection, PRIORITY).features["tickets.subject"].to_pylist()
    assert max(len(text) for text in told if text is not None) == 400


def test__words__of_the_context__are_columns_of_models(connection) -> None:
    found = snapshot(connection, PRIORITY)
    assert sorted(found.words[CONTEXT]["tickets.subject"]) == ["please", "refund", "wait", "вход", "не", "работает"]
    columns = feature_table(found, split_rows(found, QUERY))
    at = dict(zip(columns.names, columns.columns, strict=True))
    said = found.features["tickets.subject"].take(split_rows(found, QUERY)).to_pylist()
    expected = [np.nan if text is None else float("refund" in text) for text in said]
    np.testing.assert_array_equal(at[f"tickets.subject{OF_WORD}refund"], expected)
    assert "tickets.subject" not in at


def test__words__texts_without_words_or_none_at_all__no_columns_and_an_answer(connection) -> None:
    for nothing in ("'?!'", "NULL", "'all the same'"):
        connection.execute(f"update tickets set subject = {nothing}")
        found = snapshot(connection, PRIORITY, backtest=False)
        assert not any(OF_WORD in name for name in feature_table(found).names)
        assert run_step(found, load_model("rfm"), seed=0).query is not None


def test__words__rows_after_the_tested_moment_changed__those_of_the_backtest_stay(connection) -> None:
    """The context has tickets of the last month; what they say must not choose the words of the backtest."""
    before = snapshot(connection, anchor="2024-07-01")
    connection.execute("update tickets set subject = 'novel matter' where opened_at > '2024-06-01'")
    after = snapshot(connection, anchor="2024-07-01")
    assert after.words[BACKTEST_CONTEXT] == before.words[BACKTEST_CONTEXT]
    tested = [feature_table(found, split_rows(found, BACKTEST)) for found in (before, after)]
    assert tested[0].names == tested[1].names
    for one, other in zip(tested[0].columns, tested[1].columns, strict=True):
        np.testing.assert_array_equal(one, other)


def test__words__models_that_read_rows__are_told_none(connection) -> None:
    found = snapshot(connection, PRIORITY)
    told = examples_at(found, split_rows(found, CONTEXT), with_rows=True)
    assert not any(OF_WORD in name for name in told.names)


def test__priority__hangs_on_the_words_of_the_subject__is_found(connection) -> None:
    found = snapshot(connection, PRIORITY)
    said = run_step(found, load_model("rfm"), seed=0).query
    assert said is not None and said.probabilities is not None
    asked = found.features["tickets.subject"].take(split_rows(found, QUERY)).to_pylist()
    high = said.probabilities[:, found.classes.index("high")]
    refunds = np.array([text == "refund please" for text in asked])
    assert high[refunds].min() > 0.8 and high[~refunds].max() < 0.4


def test__bundle__with_texts__answers_as_the_snapshot_did(connection, tmp_path: Path) -> None:
    found, model = snapshot(connection, PRIORITY), load_model("rfm")
    write_bundle(found, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    assert again.words == found.words and again.features.equals(found.features)
    ours, theirs = (run_step(each, model, seed=0) for each in (found, again))
    assert ours.query is not None and theirs.query is not None and ours.backtest is not None
    np.testing.assert_array_equal(ours.query.probabilities, theirs.query.probabilities)


def test__fine_tuning__of_examples_with_words__learns_from_what_answers_read(connection, monkeypatch, tmp_path) -> None:
    """From the scores, not from a column per word."""
    seen: list[tuple[str, ...]] = []

    def noted(model: object, known: Labelled, **_: object) -> None:
        seen.append(known.examples.names)
        raise ModelError("seen")

    monkeypatch.setattr(adapt, "fine_tune", noted)
    with pytest.raises(ModelError, match="seen"):
        adapt.adapt(load_model("rfm"), snapshot(connection, PRIORITY), Keeping(str(tmp_path)), minutes=1)
    assert "words.score0" in seen[0] and not any(OF_WORD in name for name in seen[0])
