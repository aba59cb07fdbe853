"""What a quick answer is told: less, and nothing else."""

from __future__ import annotations

from datetime import datetime

from hypothesis import HealthCheck, Phase, given, settings
from plan_databases import Database, databases, moments, shop_schema, warehouse_of
from test_features import TASK

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.snapshot import Snapshot

SCHEMA = shop_schema()
#: What is told in two windows only is told in the two longest.
OTHER_WINDOW = ".60d"


def told(shop: Database, anchor: datetime, *, brief: bool) -> Snapshot | None:
    options = Options(context_size=50, backtest=False, anchor=anchor.isoformat())
    try:
        return collect(TASK, SCHEMA, warehouse_of(shop), options, with_rows=False, brief=brief)
    except DataError:
        return None


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(databases(), moments)
def test__features__in_brief__are_fewer_and_the_same(shop: Database, anchor: datetime) -> None:
    full, brief = told(shop, anchor, brief=False), told(shop, anchor, brief=True)
    if full is None or brief is None:
        assert full is brief, "an answer is possible for both or for none"
        return
    assert brief.examples.equals(full.examples)
    assert len(brief.features_meta) < 0.8 * len(full.features_meta)
    for name in brief.features.column_names:
        if name in full.features.column_names:
            assert brief.features[name].equals(full.features[name]), name
        else:
            assert name.endswith(OTHER_WINDOW), name


@given(databases(), moments)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test__features__in_brief__still_tell_how_many_how_much_and_since_when(shop: Database, anchor: datetime) -> None:
    brief = told(shop, anchor, brief=True)
    if brief is not None:
        expected = {"orders.count.5d", "orders.amount.mean.60d", "orders.amount.last3", "orders.recency", "past.lag1"}
        assert expected <= set(brief.features.column_names)
