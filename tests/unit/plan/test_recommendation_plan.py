"""Candidates, labels and pair features of a small shop, worked out by hand on DuckDB."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pytest
from hand_worked import World, world

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.plan.candidates import MAX_SUGGESTED, Limits
from dbt_rfm.snapshot import Snapshot

# Three customers; ann buys tea every ten days, bob coffee, cid never anything. Milk goes along with tea; jam is new and
# nobody's; a pen points at no product.
SCRIPT = """
create table customers as select * from (values ('ann'), ('bob'), ('cid')) as t(name);
create table products as select * from (values
    ('tea', 'hot', 4.0, timestamp '2024-01-01'), ('coffee', 'hot', 6.0, timestamp '2024-01-01'),
    ('milk', 'cold', 1.0, timestamp '2024-01-01'), ('jam', 'sweet', 3.0, timestamp '2024-03-25'),
    ('later', 'sweet', 3.0, timestamp '2024-05-01')
) as t(sku, shelf, price, launched_at);
create table orders as
    select 'a' || i as order_id, 'ann' as customer, timestamp '2024-01-05' + to_days(10 * i::integer) as at
    from range(9) t(i)
    union all
    select 'b' || i, 'bob', timestamp '2024-01-07' + to_days(10 * i::integer) from range(9) t(i);
create table lines as
    select order_id || 't' as line, order_id, 'tea' as sku, 1 as n from orders where customer = 'ann'
    union all select order_id || 'm', order_id, 'milk', 2 from orders where customer = 'ann' and order_id < 'a5'
    union all select order_id || 'c', order_id, 'coffee', 1 from orders where customer = 'bob'
    union all select order_id || 'k', order_id, 'milk', 1 from orders where order_id in ('b1', 'b3')
    union all select order_id || 'p', order_id, 'pen', 1 from orders where customer = 'bob';
"""
ASKED = "PREDICT LIST_DISTINCT(lines.sku, 0, 20, days) RANK TOP 3{more} FOR EACH customers.name"
ANCHOR = "2024-03-31"
NEWEST = datetime(2024, 3, 11)  # the newest closed window


def shop() -> World:
    return world(
        SCRIPT,
        keys={"customers": "name", "products": "sku", "orders": "order_id", "lines": "line"},
        times={"orders": "at", "products": "launched_at"},
        links=[
            "orders.customer -> customers.name",
            "lines.order_id -> orders.order_id",
            "lines.sku -> products.sku",
        ],
    )


def collected(shop: World, query: str = ASKED.format(more=""), **changes: object) -> Snapshot:
    options = replace(Options(anchor=ANCHOR, context_size=100), **changes)
    return collect(shop.bound(query), shop.schema, shop.warehouse, options)


def rows_of(snapshot: Snapshot, split: str) -> dict[tuple[str, str], dict]:
    """(entity, item) -> the example with its features."""
    features = {row["example_id"]: row for row in snapshot.features.to_pylist()}
    rows = [row | features[row["example_id"]] for row in snapshot.examples.to_pylist() if row["split"] == split]
    return {(row["entity"], row["item"]): row for row in rows}


def test__candidates__of_every_entity__hold_its_own_the_popular_and_the_new() -> None:
    asked = rows_of(collected(shop()), "query")

    # 'later' is not launched yet at the anchor, and a pen is no product; cid, who never bought, is asked too.
    assert set(asked) == {(who, what) for who in ("ann", "bob", "cid") for what in ("tea", "coffee", "milk", "jam")}


def test__labels__are_the_items_of_the_window_after_the_anchor() -> None:
    tested = rows_of(collected(shop()), "backtest")

    assert {row["anchor_time"] for row in tested.values()} == {NEWEST}
    came = {key for key, row in tested.items() if row["label"]}
    assert came == {("ann", "tea"), ("bob", "coffee")}
    # cid had nothing in the window: an empty list ranks nothing. jam was not there yet.
    assert {who for who, _ in tested} == {"ann", "bob"} and "jam" not in {what for _, what in tested}
    assert {row["relevant"] for row in tested.values()} == {1}


def test__pair_features__as_of_the_anchor__are_those_worked_out_by_hand() -> None:
    asked = rows_of(collected(shop()), "query")

    tea = asked["ann", "tea"]  # nine times, every ten days from 5 January to 25 March
    assert (tea["own.times"], tea["own.times.20d"], tea["own.times.60d"]) == (9, 2, 6)
    assert (tea["own.age"], tea["own.since"]) == (6.0, 86.0)
    assert tea["own.due"] == pytest.approx(6 / 10)
    assert tea["own.per_visit"] == 1.0
    assert (tea["item.entities"], tea["item.entities.20d"], tea["item.again"]) == (1, 1, 1.0)
    assert (tea["own.place.newest"], tea["own.place.oftenest"]) == (1, 1)
    assert tea["alike.shelf"] == pytest.approx(9 / 14) and tea["item.price"] == 4.0

    new = asked["ann", "coffee"]
    assert (new["own.times"], new["own.age"], new["own.due"]) == (0, None, None)
    assert new["item.entities"] == 1

    nobody = asked["cid", "milk"]
    assert (nobody["entity.items"], nobody["entity.age"], nobody["alike.shelf"]) == (0, None, None)
    assert (nobody["item.entities"], nobody["item.entities.20d"]) == (2, 0)
    assert (asked["cid", "jam"]["item.entities"], asked["cid", "jam"]["item.since"]) == (0, 6.0)


def test__together__counts_the_entities_that_have_both() -> None:
    shop_with_two = shop()
    shop_with_two.warehouse._run("insert into orders values ('c0', 'cid', timestamp '2024-03-30')")
    shop_with_two.warehouse._run("insert into lines values ('c0t', 'c0', 'tea', 1), ('c0m', 'c0', 'milk', 1)")
    asked = rows_of(collected(shop_with_two), "query")

    # ann and cid have tea (2) and milk (ann, bob, cid: 3): two of them both, so the cosine is 2 / sqrt(2 * 3).
    assert asked["bob", "tea"]["together.total"] == pytest.approx(2 / 6**0.5)
    assert asked["bob", "tea"]["together.links"] == 1
    assert asked["ann", "coffee"]["together.total"] == 0  # only bob has coffee and milk: one is no pattern


def test__exclude_seen__leaves_out_what_the_entity_had() -> None:
    found = collected(shop(), ASKED.format(more=" EXCLUDE SEEN"))

    asked = set(rows_of(found, "query"))
    assert {what for who, what in asked if who == "ann"} == {"coffee", "jam"}
    assert {what for who, what in asked if who == "cid"} == {"tea", "coffee", "milk", "jam"}
    # Nothing new came in the newest window, so there is nothing to test on.
    assert any("no backtest" in note for note in found.notes)
    learnt = rows_of(found, "context")
    assert {key for key, row in learnt.items() if row["label"]} == {("bob", "milk")}  # his first milk, in b1


def test__inner_where__narrows_history_and_labels() -> None:
    query = "PREDICT LIST_DISTINCT(lines.sku WHERE lines.n > 1, 0, 20, days) RANK TOP 2 FOR EACH customers.name"
    asked = rows_of(collected(shop(), query), "query")

    assert asked["ann", "tea"]["own.times"] == 0
    assert asked["ann", "milk"]["own.times"] == 5
    assert asked["ann", "milk"]["own.n"] == 5 * 2  # the amount of its rows


def test__where__only_those_who_pass_are_asked() -> None:
    query = ASKED.format(more="") + " WHERE COUNT(orders.*, -30, 0, days) > 0"

    assert {who for who, _ in rows_of(collected(shop(), query), "query")} == {"ann", "bob"}


def test__entity_ids__only_these_are_asked() -> None:
    query = ASKED.format(more="").replace("FOR EACH customers.name", "FOR customers.name = 'cid'")

    assert {who for who, _ in rows_of(collected(shop(), query), "query")} == {"cid"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("delete from products", "table products has no rows, so there is nothing to recommend"),
        ("delete from customers", "table customers has no rows, so there is nobody to predict for"),
        ("delete from orders", "there is no history"),
        ("delete from lines", "holds an item"),
    ],
)
def test__collect__nothing_there__says_what(change: str, message: str) -> None:
    empty = shop()
    empty.warehouse._run(change)

    with pytest.raises(DataError, match=message):
        collected(empty)


def test__collect__one_closed_window__has_no_backtest_and_says_so() -> None:
    found = collected(shop(), anchor="2024-01-26")

    assert set(found.examples["split"].to_pylist()) == {"context", "query"}
    assert any("no backtest" in note for note in found.notes)


def test__collect__twice__is_the_same_to_the_byte() -> None:
    first, second = collected(shop()), collected(shop())

    assert first.examples.equals(second.examples)
    assert first.features.equals(second.features)
    assert isinstance(first.features, pa.Table) and len(first.features_meta) > 30


def test__limits__of_very_many_groups__are_fewer_suggestions_and_always_a_list() -> None:
    few, many = Limits.of(1_000, 10), Limits.of(500_000, 10)

    assert few == Limits()
    assert many.own >= 10 and many.popular >= 10
    suggested = 500_000 * many.seeds * many.neighbours
    assert MAX_SUGGESTED / 2 < suggested <= MAX_SUGGESTED
