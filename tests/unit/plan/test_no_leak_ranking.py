"""Whatever happens after a group's anchor, its candidates and their features do not move.

As in test_no_leak.py, a database is drawn and a second one that is the same up to a moment. Labels speak of what comes
later, and may differ; the pairs that are asked may not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_databases import START, Database, databases, moments, same_until, shop_schema, warehouse_of

from dbt_rfm.collect.recommendation import ranking_labelled
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.snapshot import QUERY

SCHEMA = shop_schema()
LISTED = "PREDICT LIST_DISTINCT(items.product_id{where}, 0, 5, days) RANK TOP 3{more} FOR EACH customers.customer_id"
SOME = " WHERE items.quantity > 1"  # so that all rows of the items are a signal
# Nothing to recommend would be an error of its own.
ALWAYS_THERE = {"product_id": 77, "price": 1.0, "category": "a", "launched_at": START - timedelta(days=9)}


def asked(database: Database, anchors: list[datetime], where: str, more: str) -> tuple[pa.Table, pa.Table]:
    """The pairs of customers 1 to 4 at the anchors, and their features. What is learnt from stands after everything."""
    rows = [(entity, anchor, "query") for anchor in anchors for entity in (1, 2, 3, 4)]
    rows.append((1, START + timedelta(days=99), "context"))
    times = [row[1] for row in rows]
    labels = pa.table(
        {
            "entity": pa.array([row[0] for row in rows], pa.int32()),
            "anchor_time": pa.array(times, pa.timestamp("us")),
            "label": pa.array([[1]] * len(rows), pa.list_(pa.int32())),
            "known_at": pa.array([t + timedelta(days=5) for t in times], pa.timestamp("us")),
            "split": [row[2] for row in rows],
        }
    )
    task = bind(parse(LISTED.format(where=where, more=more)), SCHEMA)
    options = Options(context_size=50, backtest=False)
    always = {**database, "products": [*database["products"], ALWAYS_THERE]}
    found = ranking_labelled(task, SCHEMA, warehouse_of(always), options, labels=labels)
    kept = found.examples.filter(pc.equal(found.examples["split"], QUERY))
    features = found.features.filter(pc.is_in(found.features["example_id"], value_set=kept["example_id"]))
    return kept.select(["entity", "anchor_time", "item"]), features.drop_columns("example_id")


@pytest.mark.parametrize(("where", "more"), [("", ""), ("", " EXCLUDE SEEN"), (SOME, "")])
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(data=st.data(), database=databases(), cut=moments)
def test__asked_pairs__later_rows_changed__stay_the_same(
    where: str, more: str, data: st.DataObject, database: Database, cut: datetime
) -> None:
    later = data.draw(same_until(database, cut))
    anchors = [cut - timedelta(days=3), cut]
    pairs, features = asked(database, anchors, where, more)
    other_pairs, other_features = asked(later, anchors, where, more)

    assert pairs.equals(other_pairs)
    for name in features.column_names:
        assert features[name].equals(other_features[name]), name
