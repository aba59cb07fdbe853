"""Looks, carts and other rows of an entity and an item beside those that are asked about, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_worked import World, world

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.options import Options
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.signals import signals_of
from dbt_rfm.snapshot import Snapshot

# Ann and bob buy 1 to 60 in turn, nobody 61 to 100. ann has looked at 70 twice lately, at 71 long ago.
SCRIPT = """
create table people as select * from (values ('ann'), ('bob'), ('cid')) as t(name);
create table things as select i::integer as id, 'ann' as maker from range(1, 101) t(i);
create table buys as
    select i as nr, case when i % 2 = 0 then 'ann' else 'bob' end as who, (1 + i % 60)::integer as id, i % 3 as n,
        timestamp '2024-01-01' + to_days((i / 2)::integer) as at
    from range(180) t(i);
create table looks as select * from (values
    (1, 'ann', 70, timestamp '2024-03-29'), (2, 'ann', 70, timestamp '2024-03-30'),
    (3, 'ann', 71, timestamp '2024-01-29'), (4, 'cid', 72, timestamp '2024-03-20'),
    (5, 'ann', 73, timestamp '2024-04-02'), (6, 'ann', 1, timestamp '2024-03-28')
) as t(nr, who, id, seen);
create table ratings as select 1 as nr, 'ann' as who, 'bob' as judge, 3 as id, timestamp '2024-03-01' as at;
create table stocks as select 1 as nr, 3 as id, timestamp '2024-03-01' as at;
"""
ASKED = "PREDICT LIST_DISTINCT(buys.id{where}, 0, 10, days) RANK TOP 3 FOR EACH people.name"


def shop() -> World:
    names = ("buys", "looks", "ratings", "stocks")
    return world(
        SCRIPT,
        keys={"people": "name", "things": "id"} | dict.fromkeys(names, "nr"),
        times=dict.fromkeys(names, "at") | {"looks": "seen"},
        links=[
            *(f"{name}.id -> things.id" for name in names),
            *(f"{name}.who -> people.name" for name in names if name != "stocks"),
            "ratings.judge -> people.name",
            "things.maker -> people.name",
        ],
    )


def collected(shop: World, where: str = "") -> Snapshot:
    options = replace(Options(anchor="2024-03-31"), context_size=100)
    return collect(shop.bound(ASKED.format(where=where)), shop.schema, shop.warehouse, options)


def asked_pairs(snapshot: Snapshot) -> dict[tuple[str, int], dict]:
    features = {row["example_id"]: row for row in snapshot.features.to_pylist()}
    rows = [row for row in snapshot.examples.to_pylist() if row["split"] == "query"]
    return {(row["entity"], row["item"]): features[row["example_id"]] for row in rows}


@pytest.mark.parametrize(("where", "found"), [("", ["looks"]), (" WHERE buys.n > 1", ["any buys", "looks"])])
def test__signals__are_tables_with_one_way_to_the_entity__and_all_rows_of_a_question_with_where(
    where: str, found: list[str]
) -> None:
    """Ratings lead to people in two ways, what is in stock only by its maker."""
    world = shop()

    signals = signals_of(world.bound(ASKED.format(where=where)), Graph(world.schema, "duckdb"))

    assert [signal.label for signal in signals] == found


def test__candidates__hold_what_was_looked_at_lately() -> None:
    asked = set(asked_pairs(collected(shop())))

    assert ("ann", 70) in asked and ("cid", 72) in asked
    assert ("cid", 70) in asked  # most look at it
    # 71 was looked at too long ago, 73 not yet; nobody bought either, and neither is among the newest by number.
    assert not {("ann", 71), ("ann", 73)} & asked


def test__pair_features__tell_how_often_how_lately_and_by_how_many_it_was_looked_at() -> None:
    pair = asked_pairs(collected(shop()))["ann", 70]

    assert (pair["looks.times"], pair["looks.times.newest"], pair["looks.times.10d"]) == (2, 2, 2)
    assert (pair["looks.age"], pair["looks.place"]) == (1.0, 1)
    assert (pair["looks.item.entities.newest"], pair["looks.item.entities.10d"]) == (1, 1)
    assert (pair["looks.entity.times.newest"], pair["looks.entity.times.10d"], pair["looks.entity.age"]) == (2, 3, 1.0)
    assert pair["looks.since_own"] is None  # she never had it


def test__pair_features__of_what_was_had__tell_whether_it_was_looked_at_since() -> None:
    asked = asked_pairs(collected(shop()))

    assert asked["ann", 1]["looks.since_own"] == 1  # had on 1 March
    assert asked["ann", 3]["looks.since_own"] == 0 and asked["ann", 3]["looks.age"] is None


def test__pair_features__of_a_question_with_where__count_the_other_rows_too() -> None:
    asked = asked_pairs(collected(shop(), " WHERE buys.n > 1"))

    # ann had 31 on 31 January, which is too long ago, and on 1 March, when n was 0.
    assert (asked["ann", 31]["own.times"], asked["ann", 31]["any buys.times"]) == (0, 1)
