"""Which values of a category are counted: the most frequent, where they make up most of its rows."""

from __future__ import annotations

from datetime import datetime

from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.types import Column, SemanticType


def column(shop, name: str, table: str = "events", **options) -> Column:
    return shop.schema(**options).table(table).column(name)


def test__values__most_frequent_first__and_all_there_are(shop):
    kinds = "case when range % 10 < 5 then 'login' when range % 10 < 8 then 'error' else 'it''s \\ odd' end"
    shop.table("events", f"select range as id, {kinds} as kind from range(100)")
    kind = column(shop, "kind")
    assert kind.values == ("login", "error", "it's \\ odd") and kind.all_values


def test__values__one_that_more_than_half_of_the_rows_have__goes_without_saying(shop):
    states = "case when range % 10 < 6 then 'done' when range % 10 < 9 then 'returned' else 'placed' end"
    shop.table(
        "events",
        f"select range as id, {states} as state, "
        "case when range % 10 < 6 then null when range % 10 < 9 then 'late' else 'lost' end as reason from range(100)",
    )
    assert column(shop, "state").values == ("returned", "placed")
    assert column(shop, "reason").values == ("lost",)


def test__values__equally_frequent__in_the_order_of_their_text(shop):
    shop.table("events", "select range as id, ['b', 'a', 'C'][range % 3 + 1] as kind from range(30)")
    assert column(shop, "kind").values == ("C", "a", "b")


def test__values__of_a_long_list__only_where_few_of_them_are_most_rows(shop):
    shop.table(
        "events",
        "select range as id, 'brand ' || range % 60 as brand, "
        "'event ' || case when range % 3 > 0 then range % 5 else range % 60 end as kind from range(6000)",
    )
    assert column(shop, "brand").values == ()
    kind = column(shop, "kind")
    assert len(kind.values) == 12 and not kind.all_values
    assert {f"event {i}" for i in range(5)} == set(kind.values[:5])


def test__values__where_twelve_fall_short_of_half_the_rows__as_many_more_as_reach_it(shop):
    shop.table(
        "events",
        "select range as id, 'event ' || range % 30 as kind, range % 40 as code, 'event ' || range % 47 as many, "
        "'event ' || range % 49 as more from range(49 * 47 * 120)",
    )
    assert len(column(shop, "kind").values) == 15 and not column(shop, "kind").all_values
    assert len(column(shop, "code").values) == 20
    assert len(column(shop, "many").values) == 24 and column(shop, "more").values == ()


def test__values__one_only_or_none__nothing_to_count(shop):
    shop.table("events", "select range as id, 'web' as channel, null::varchar as reason from range(50)")
    assert column(shop, "channel").values == column(shop, "reason").values == ()


def test__values__of_keys_links_numbers_and_times__are_none(declared_shop):
    schema = declared_shop.schema()
    assert {c.name for t in schema.tables for c in t.columns if c.values} == {"city"}


def test__values__of_whole_numbers_named_like_codes__are_counted_and_they_stay_numbers(shop):
    shop.table(
        "events",
        "select range as id, [200, 404, 500][range % 3 + 1] as status_code, range % 4 as priority, "
        "range % 4 as quantity, (range % 4)::double as level from range(100)",
    )
    assert column(shop, "status_code").values == ("200", "404", "500")
    assert column(shop, "priority").values == ("0", "1", "2", "3")
    assert column(shop, "status_code").semantic_type is SemanticType.NUMERICAL
    assert column(shop, "quantity").values == column(shop, "level").values == ()


def test__values__of_a_code_with_as_many_values_as_a_measure__are_none(shop):
    shop.table(
        "events",
        "select range as id, case when range % 2 = 0 then range % 3 else range % 40 end as code, "
        "case when range % 2 = 0 then range % 3 else range % 400 end as level from range(4000)",
    )
    assert len(column(shop, "code").values) == 12
    assert column(shop, "level").values == ()


def test__values__of_a_code_declared_a_number__are_none(shop):
    given = {"columns": {"priority": {"meta": {"rfm": {"semantic_type": "numerical"}}}}}
    shop.table("events", "select range as id, range % 4 as priority from range(100)", **given)
    assert column(shop, "priority").values == ()


def test__values__as_of_a_moment__later_rows_change_nothing(shop):
    rows = (
        "select range as id, timestamp '2025-01-01' + to_days(range::int) as at, ['a', 'b', 'c'][range % 3 + 1] as kind"
    )
    shop.table("events", f"{rows} from range(60)", event_time="at")
    moment = datetime(2025, 3, 1)
    before = column(shop, "kind", as_of=moment)
    shop.connection.execute("insert into events select 1000 + range, timestamp '2026-01-01', 'new' from range(50)")
    assert column(shop, "kind", as_of=moment) == before
    assert column(shop, "kind").values[0] == "new"


def test__fingerprint__other_values__is_the_same(shop):
    shop.table("events", "select range as id, ['a', 'b'][range % 2 + 1] as kind from range(50)")
    before = fingerprint(shop.schema())
    shop.connection.execute("insert into events select 100 + range, 'c' from range(50)")
    assert column(shop, "kind").values[0] == "c" and fingerprint(shop.schema()) == before
