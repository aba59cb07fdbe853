"""Snapshots of a small shop: splits, anchors, label tables, attributes, and what goes wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from small_schema import ORDERS, schema, table

from dbt_rfm.collect.snapshots import collect, collect_labelled
from dbt_rfm.errors import DataError, ProjectError, RfmError
from dbt_rfm.evaluate.backtest import backtest
from dbt_rfm.model import load_model
from dbt_rfm.model.step import run_step
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.from_job import label_table
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

A = datetime(2024, 7, 1)
SCHEMA = schema(
    table("customers", customer_id="INTEGER", segment="VARCHAR"),
    ORDERS,
    links={"orders.customer_id": "customers.customer_id"},
)
SPENDING = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
CHURN = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"


@pytest.fixture()
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """40 customers; customer i orders every i days, the last time on A; segments are known for the even ones."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        """
        create table customers as
            select i::int as customer_id, case when i % 2 = 0 then 'even' || i % 4 end as segment
            from range(1, 41) t(i);
        create table orders as
            select row_number() over (order by i, k)::int as order_id, i::int as customer_id,
                timestamp '2024-07-01' - to_days((i * k)::int) as ordered_at, (i + k)::double as amount
            from range(1, 41) t(i), range(0, 180) s(k) where i * k < 180
        """
    )
    yield connection
    connection.close()


def snapshot(connection: duckdb.DuckDBPyConnection, query: str = CHURN, *, labels: str | None = None, **options):
    warehouse = DuckDB(connection)
    table = label_table(labels, warehouse) if labels else None
    ids = options.pop("entity_ids", ())
    task = replace(bind(parse(query), SCHEMA, labels=table), entity_ids=ids)
    return collect(task, SCHEMA, warehouse, Options(**options), labels=labels)


def rows(found: Snapshot, split: str) -> list[dict]:
    return [r for r in found.examples.to_pylist() if r["split"] == split]


def anchors(found: Snapshot, split: str) -> set[datetime]:
    return {r["anchor_time"] for r in rows(found, split)}


def test__collect__windows__stand_a_horizon_apart_and_the_backtest_one_earlier(connection) -> None:
    found = snapshot(connection)
    steps = [A - timedelta(days=30 * k) for k in range(1, 6)]
    assert found.anchor == A
    assert anchors(found, "query") == {A}
    assert anchors(found, "context") == set(steps)
    assert anchors(found, "backtest") == {steps[0]}
    assert anchors(found, "backtest_context") == set(steps[1:])


def test__collect__labels__are_null_only_in_the_query(connection) -> None:
    found = snapshot(connection)
    assert {r["label"] for r in rows(found, "query")} == {None}
    assert all(isinstance(r["label"], bool) for s in ("context", "backtest") for r in rows(found, s))
    assert (found.kind, found.classes, found.entity) == (TaskKind.BINARY, ("false", "true"), "customer_id")


def test__collect__features__lie_beside_their_examples(connection) -> None:
    found = snapshot(connection)
    assert found.features["example_id"].to_pylist() == found.examples["example_id"].to_pylist()
    assert [f.name for f in found.features_meta] == found.features.column_names[1:]
    counts = found.features["orders.count.30d"].to_pylist()
    by_entity = {r["entity"]: counts[r["example_id"]] for r in rows(found, "query")}
    assert (by_entity[1], by_entity[7], by_entity[40]) == (30.0, 5.0, 1.0)


def test__collect__session_tables__are_gone_afterwards(connection) -> None:
    snapshot(connection)
    with pytest.raises(RfmError):
        snapshot(connection, anchor="1999-01-01")
    assert connection.execute("select count(*) from duckdb_tables() where temporary").fetchall() == [(0,)]


def test__collect__windows_over_two_links__begin_with_the_rows_that_are_counted(connection) -> None:
    """Customers have been there for three years; before the first order there was nothing to count."""
    connection.execute("create table regions as select i::int as region_id from range(3) t(i)")
    connection.execute("alter table customers add column region_id int")
    connection.execute("alter table customers add column joined_at timestamp")
    connection.execute("update customers set region_id = customer_id % 3, joined_at = timestamp '2021-07-01'")
    company = schema(
        table("regions", region_id="INTEGER"),
        table("customers", time="joined_at", customer_id="INTEGER", region_id="INTEGER", joined_at="TIMESTAMP"),
        ORDERS,
        links={"orders.customer_id": "customers.customer_id", "customers.region_id": "regions.region_id"},
    )
    task = bind(parse("PREDICT SUM(orders.amount, 0, 30, days) FOR EACH regions.region_id"), company)
    found = collect(task, company, DuckDB(connection), Options(backtest=False))
    assert min(anchors(found, "context")) == A - 5 * timedelta(days=30)


def test__collect__same_seed__gives_the_same_snapshot_and_another_seed_another(connection) -> None:
    first, again = snapshot(connection, context_size=20), snapshot(connection, context_size=20)
    other = snapshot(connection, context_size=20, seed=1)
    assert first.examples.equals(again.examples) and first.features.equals(again.features)
    assert not first.examples.equals(other.examples)


def test__collect__small_context__is_half_from_the_newest_anchor(connection) -> None:
    found = snapshot(
        connection, "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id", context_size=40
    )
    newest = [r for r in rows(found, "context") if r["anchor_time"] == A - timedelta(days=30)]
    assert len(rows(found, "context")) == 40
    assert 20 <= len(newest) < 40


def test__collect__rare_class__keeps_its_minimum(connection) -> None:
    query = "PREDICT COUNT(orders.*, 0, 30, days) >= 30 FOR EACH customers.customer_id"
    found = snapshot(connection, query, context_size=100)
    assert sum(r["label"] for r in rows(found, "context")) == 5, "only customer 1 orders daily, at five anchors"


def test__collect__rare_class_with_a_minimum__keeps_the_share_it_would_have_had(connection) -> None:
    query = "PREDICT COUNT(orders.*, 0, 30, days) >= 30 FOR EACH customers.customer_id"
    found = snapshot(connection, query, context_size=100)
    shares = found.label_shares["context"]
    assert 0 < shares["true"] < 0.05, "5 of 100 are shown, 5 of 200 there are"
    assert shares["true"] + shares["false"] == pytest.approx(1)


def test__collect__classes_of_plenty__keep_no_shares(connection) -> None:
    query = "PREDICT COUNT(orders.*, 0, 30, days) > 1 FOR EACH customers.customer_id"
    assert snapshot(connection, query, context_size=100).label_shares == {}


def test__collect__some_entities_asked__narrow_the_query_and_not_the_context(connection) -> None:
    found = snapshot(connection, entity_ids=(7, "8"))
    assert [r["entity"] for r in rows(found, "query")] == [7, 8]
    assert len({r["entity"] for r in rows(found, "context")}) == 40


def test__collect__unknown_entity__gives_an_empty_query_and_says_so(connection) -> None:
    found = snapshot(connection, entity_ids=("4711'",))
    assert rows(found, "query") == []
    assert any("4711'" in note and "empty" in note for note in found.notes)


def test__collect__anchor_as_date__is_that_midnight(connection) -> None:
    found = snapshot(connection, anchor="2024-06-01")
    assert anchors(found, "query") == {datetime(2024, 6, 1)}


def test__collect__backtest_switched_off__leaves_its_splits_out(connection) -> None:
    assert set(snapshot(connection, backtest=False).examples["split"].to_pylist()) == {"context", "query"}


def test__collect__where__looks_back_from_each_anchor(connection) -> None:
    query = (
        "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id WHERE COUNT(orders.*, -10, 0, days) > 1"
    )
    assert {r["entity"] for r in rows(snapshot(connection, query), "query")} == set(range(1, 10))


def test__collect__monthly_horizon__goes_by_the_calendar(connection) -> None:
    found = snapshot(connection, "PREDICT COUNT(orders.*, 0, 1, months) = 0 FOR EACH customers.customer_id")
    assert {datetime(2024, 6, 1), datetime(2024, 2, 1)} <= anchors(found, "context")


def test__collect__rows_asked_for__hold_the_newest_orders(connection) -> None:
    warehouse = DuckDB(connection)
    found = collect(bind(parse(CHURN), SCHEMA), SCHEMA, warehouse, Options(neighbors=(2,)))
    query = next(r for r in rows(found, "query") if r["entity"] == 7)
    orders = [r for r in found.rows["orders"].to_pylist() if r["example_id"] == query["example_id"]]
    assert sorted(r["ordered_at"] for r in orders) == [A - timedelta(days=7), A]


def test__collect__attribute__is_learnt_where_known_and_asked_where_null(connection) -> None:
    found = snapshot(connection, "PREDICT customers.segment FOR EACH customers.customer_id")
    assert {r["entity"] % 2 for r in rows(found, "context")} == {0}
    assert {r["entity"] % 2 for r in rows(found, "query")} == {1}
    assert found.classes == ("even0", "even2")
    assert not any("segment" in f.name for f in found.features_meta), "the answer is no feature"
    held_out, shown = ({r["entity"] for r in rows(found, s)} for s in ("backtest", "backtest_context"))
    assert held_out and not held_out & shown and held_out | shown == set(range(2, 41, 2))


def test__collect__attribute_known_everywhere__asks_nobody_and_says_so(connection) -> None:
    connection.execute("update customers set segment = 'x' where segment is null")
    found = snapshot(connection, "PREDICT customers.segment FOR EACH customers.customer_id")
    assert rows(found, "query") == []
    assert any("prediction is empty" in note for note in found.notes)


@pytest.fixture()
def labelled(connection) -> duckdb.DuckDBPyConnection:
    connection.execute(
        """
        create table marks as
            select i::int as customer_id, timestamp '2024-06-21' - to_days((10 * k)::int) as anchor_time,
                (i + k) % 3 = 0 as risky
            from range(1, 41) t(i), range(0, 6) s(k)
        """
    )
    return connection


def test__collect__label_table__takes_labels_known_by_the_anchor(labelled) -> None:
    query = "PREDICT labels.risky FOR EACH customers.customer_id"
    found = snapshot(labelled, query, labels="marks", horizon="10 days")
    assert anchors(found, "query") == {A}
    assert anchors(found, "context") == {datetime(2024, 6, 21) - timedelta(days=10 * k) for k in range(6)}
    assert anchors(found, "backtest") == {datetime(2024, 6, 21)}
    assert anchors(found, "backtest_context") == {datetime(2024, 6, 11) - timedelta(days=10 * k) for k in range(5)}
    assert all(
        r["label"] == ((r["entity"] + (datetime(2024, 6, 21) - r["anchor_time"]).days // 10) % 3 == 0)
        for r in rows(found, "context")
    )


def test__collect__label_table_with_known_at__does_not_learn_what_comes_later(labelled) -> None:
    labelled.execute("create table late as select *, anchor_time + interval 15 days as known_at from marks")
    found = snapshot(labelled, "PREDICT labels.risky FOR EACH customers.customer_id", labels="late")
    assert max(anchors(found, "context")) == datetime(2024, 6, 11)


def test__collect__label_table_without_known_at_and_horizon__asks_for_one(labelled) -> None:
    with pytest.raises(ProjectError, match="does not say when its labels become known"):
        snapshot(labelled, "PREDICT labels.risky FOR EACH customers.customer_id", labels="marks")


def test__collect__empty_entity_table__is_an_error(connection) -> None:
    connection.execute("delete from customers")
    with pytest.raises(DataError, match="customers has no rows"):
        snapshot(connection)


def test__collect__no_history__is_an_error(connection) -> None:
    connection.execute("delete from orders")
    with pytest.raises(DataError, match="no history"):
        snapshot(connection)


def test__collect__history_shorter_than_a_window__is_an_error(connection) -> None:
    with pytest.raises(DataError, match="no window of 400 days to learn from"):
        snapshot(connection, "PREDICT COUNT(orders.*, 0, 400, days) = 0 FOR EACH customers.customer_id")


def test__collect__nothing_passes_where__is_an_error_that_names_it(connection) -> None:
    with pytest.raises(DataError, match="gives a label") as caught:
        snapshot(connection, f"{CHURN} WHERE COUNT(orders.*, -10, 0, days) > 9999")
    assert "WHERE" in caught.value.hint


def test__collect__class_that_only_the_backtest_holds__is_one_of_the_classes(connection) -> None:
    """More classes than a context has room for: each customer a town of his own."""
    connection.execute("update customers set segment = 'town ' || customer_id where customer_id > 9")
    found = snapshot(connection, "PREDICT customers.segment FOR EACH customers.customer_id", context_size=5)
    tested, learnt, learnt_before = (
        {r["label"] for r in rows(found, split)} for split in ("backtest", "context", "backtest_context")
    )
    assert tested - learnt - learnt_before and tested <= set(found.classes)
    step = run_step(found, load_model("rfm", "cpu", {}), seed=0)
    test = backtest(found, step.backtest)
    assert test is not None and 0 <= test.metrics["accuracy"] < 1


def test__collect__one_class__is_an_error(connection) -> None:
    with pytest.raises(DataError, match="has the label true"):
        snapshot(connection, "PREDICT COUNT(orders.*, 0, 60, days) >= 0 FOR EACH customers.customer_id")


def test__collect__one_number__is_noted(connection) -> None:
    connection.execute("update orders set amount = 0")
    (note,) = [n for n in snapshot(connection, SPENDING, backtest=False).notes if "tell apart" in n]
    assert re.fullmatch(
        r"every one of the \d+ examples to learn from has the label 0: there is nothing to tell apart", note
    )


@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test__collect__labels_that_are_no_finite_numbers__names_the_column(connection, value: str) -> None:
    connection.execute(f"update orders set amount = '{value}'::double where customer_id = 7")
    with pytest.raises(DataError, match=r"(?s)\d+ of \d+ labels are NaN or infinite, from orders\.amount.*null"):
        snapshot(connection, SPENDING)


def test__collect__one_window_of_history__has_no_backtest_and_says_so(connection) -> None:
    found = snapshot(connection, "PREDICT COUNT(orders.*, 0, 100, days) > 3 FOR EACH customers.customer_id")
    assert any(note.startswith("no backtest") for note in found.notes)


def test__collect__anchor_that_is_no_moment__is_an_error(connection) -> None:
    with pytest.raises(ProjectError, match="is no moment"):
        snapshot(connection, anchor="yesterday")


def test__collect__rows_end_long_before_a_named_anchor__is_noted(connection) -> None:
    late = str(A + timedelta(days=200))
    (note,) = [n for n in snapshot(connection, CHURN, anchor=late).notes if "newest row" in n]
    assert "200 days before it" in note
    connection.execute("insert into orders select * replace (ordered_at + interval 400 days as ordered_at) from orders")
    assert note in snapshot(connection, CHURN, anchor=late).notes  # rows after the anchor change nothing
    near = snapshot(connection, CHURN, anchor=str(A + timedelta(days=10)))
    assert not [n for n in near.notes if "newest row" in n]


def test__collect__rows_of_the_target_end_before_those_of_another_table__is_noted(connection) -> None:
    """The newest event of the graph is a visit, and the orders of its last 40 days have not come yet."""
    connection.execute("create table visits as select 1 as visit_id, timestamp '2024-08-10 06:00' as visited_at")
    visits = table("visits", time="visited_at", visit_id="INTEGER", visited_at="TIMESTAMP")
    both = replace(SCHEMA, tables=(*SCHEMA.tables, visits))

    def notes(query: str) -> list[str]:
        found = collect(bind(parse(query), both), both, DuckDB(connection), Options())
        return [note for note in found.notes if "newest row" in note]

    (note,) = notes(CHURN)
    assert note.startswith("the newest row of orders before the anchor is of 2024-07-01 00:00, 40 days before it")
    assert notes(SPENDING.replace("30, days", "2, months")) == [], "no whole window is empty"


def given_labels(known_after: timedelta = timedelta(days=30)) -> pa.Table:
    times = [A - timedelta(days=30 * k) for k in (4, 3, 2, 1)]
    splits = ["context", "context", "context", "query"]
    each = [
        (i, t, (i + k) % 2 == 0, s) for k, (t, s) in enumerate(zip(times, splits, strict=True)) for i in range(1, 41)
    ]
    return pa.table(
        {
            "entity": pa.array([e[0] for e in each], type=pa.int32()),
            "anchor_time": pa.array([e[1] for e in each], type=pa.timestamp("us")),
            "label": [e[2] for e in each],
            "known_at": pa.array([e[1] + known_after for e in each], type=pa.timestamp("us")),
            "split": [e[3] for e in each],
        }
    )


def test__collect_labelled__context__was_known_by_the_first_query_anchor(connection) -> None:
    task = bind(parse(CHURN), SCHEMA)
    labels = given_labels(timedelta(days=45))
    found = collect_labelled(task, SCHEMA, DuckDB(connection), Options(), labels=labels)
    assert max(anchors(found, "context")) == A - timedelta(days=90)
    assert all(r["label"] is not None for r in rows(found, "query")), "a benchmark knows the answer"


def test__past_labels__yes_or_no__none_are_no_noes(connection) -> None:
    found = collect(bind(parse(CHURN), SCHEMA), SCHEMA, DuckDB(connection), Options())
    rows = found.features.select(["past.count", "past.mean.all"]).to_pylist()
    assert {row["past.count"] == 0 for row in rows} == {True, False}
    assert all((row["past.mean.all"] is None) == (row["past.count"] == 0) for row in rows)


def test__collect_labelled__past_labels__come_from_the_whole_table_once_known(connection) -> None:
    task = bind(parse(CHURN), SCHEMA)
    found = collect_labelled(task, SCHEMA, DuckDB(connection), Options(), labels=given_labels())
    query = next(r for r in rows(found, "query") if r["entity"] == 2)
    past = found.features.slice(query["example_id"], 1).to_pylist()[0]
    assert [past[f"past.lag{k}"] for k in (1, 2, 3, 4)] == [1.0, 0.0, 1.0, None]
    assert (past["past.count"], past["past.age"]) == (3.0, 30.0)


def test__collect_labelled__frozen__sees_nothing_after_the_cut(connection) -> None:
    task = bind(parse(CHURN), SCHEMA)
    cut = A - timedelta(days=60)
    found = collect_labelled(task, SCHEMA, DuckDB(connection), Options(), labels=given_labels(), cut=cut)
    query = next(r for r in rows(found, "query") if r["entity"] == 1)
    features = found.features.slice(query["example_id"], 1).to_pylist()[0]
    assert features["orders.count.30d"] == 0.0, "the window (A - 60 d, A - 30 d] begins where the database ends"
    assert features["orders.count.90d"] == 60.0
    assert features["orders.recency"] == 30.0
    assert features["past.count"] == 2.0


@pytest.mark.parametrize(("query", "known"), [(SPENDING, {0.0, 1.0}), (CHURN, {1.0})])
def test__collect_labelled__frozen__half_of_a_number_s_context_lags_as_the_queries_do(connection, query, known) -> None:
    task = bind(parse(query), SCHEMA)
    cut = A - timedelta(days=60)  # the queries stand at A - 30 days
    found = collect_labelled(task, SCHEMA, DuckDB(connection), Options(), labels=given_labels(), cut=cut)
    newest = [r for r in rows(found, "context") if r["anchor_time"] == A - timedelta(days=90)]
    assert newest and max(anchors(found, "context")) == A - timedelta(days=90), "the newest label known by the cut"
    counts = Counter(found.features.slice(r["example_id"], 1).to_pylist()[0]["past.count"] for r in newest)
    assert set(counts) == known, "30 days earlier the label of A - 120 days was not known"
    assert min(counts.values()) >= len(newest) // 4


def test__collect_labelled__fewer_query_rows__are_drawn(connection) -> None:
    task = bind(parse(CHURN), SCHEMA)
    found = collect_labelled(task, SCHEMA, DuckDB(connection), Options(), labels=given_labels(), query_rows=7)
    assert len(rows(found, "query")) == 7


def test__anchor__rows_dated_later_than_now__is_the_newest_of_the_others(connection) -> None:
    connection.execute("insert into orders values (999, 1, timestamp '2999-01-01', 1.0)")
    found = snapshot(connection)
    assert found.anchor == A
    assert (
        "rows are dated up to 2999-01-01 00:00, later than now: the anchor is the newest of the others" in found.notes
    )


def test__anchor__every_row_dated_later_than_now__is_the_newest(connection) -> None:
    connection.execute("update orders set ordered_at = ordered_at + interval 900 year")
    assert snapshot(connection).anchor == datetime(2924, 7, 1)


def test__collect__an_unknown_event_is_asked_for__says_that_it_is_not_there(connection) -> None:
    task = bind(parse("PREDICT orders.amount FOR EACH orders.order_id"), SCHEMA)
    found = collect(replace(task, entity_ids=(-1,)), SCHEMA, DuckDB(connection), Options())
    assert "no row of orders with order_id -1 fulfils the query: the prediction is empty" in found.notes
