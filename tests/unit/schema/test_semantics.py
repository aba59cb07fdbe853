"""What kind of value a column holds, and what `meta.rfm` says about it."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import ProjectError
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.values import Scope
from dbt_rfm.schema.probe import Spread, TextShape
from dbt_rfm.schema.semantics import text_type
from dbt_rfm.schema.types import SemanticType


def kinds(shop, **options) -> dict[str, str]:
    (table,) = shop.schema(**options).tables
    return {column.name: str(column.semantic_type) for column in table.columns}


def test__types__by_data_type(shop):
    shop.table(
        "a",
        "select range as id, true as flag, 1.5 as price, range as count, date '2025-01-01' as day, uuid() as token, "
        "'a'::enum('a', 'b') as grade, range % 3 || ' stars' as rating from range(300)",
    )
    assert kinds(shop) == {
        "id": "id",
        "flag": "boolean",
        "price": "numerical",
        "count": "numerical",
        "day": "timestamp",
        "token": "id",
        "grade": "categorical",
        "rating": "categorical",
    }


def test__types__keys_and_links__ids_whatever_their_type(declared_shop):
    schema = declared_shop.schema()
    for table, column in (("customers", "customer_id"), ("orders", "order_id"), ("orders", "customer_id")):
        assert schema.table(table).column(column).semantic_type is SemanticType.ID


def test__types__foreign_keys_that_are_texts__categories_where_they_are_few(shop):
    shop.table("countries", "select chr(65 + (range % 26)::int) || range // 26 as code from range(400)")
    shop.table("channels", "select 'c' || range as channel from range(8)")
    for table, column in (("countries", "code"), ("channels", "channel")):
        shop.key(table, column)
    country = "chr(65 + (range % 26)::int) || range % 400 // 26 as country"
    shop.table("visits", f"select range as visit_id, 'c' || range % 8 as channel, {country} from range(900)")
    shop.relationship("visits", "country", "countries", "code")
    shop.relationship("visits", "channel", "channels", "channel")
    schema = shop.schema()
    visits = schema.table("visits")
    assert {str(link) for link in schema.parents("visits")} == {
        "visits.country -> countries.code",
        "visits.channel -> channels.channel",
    }
    assert (visits.column("channel").semantic_type, visits.column("country").semantic_type) == ("categorical", "id")
    assert visits.column("channel").values and schema.table("channels").column("channel").semantic_type == "id"
    assert [c.name for c in Scope(Graph(schema, "duckdb")).columns(visits)] == ["channel"]


def test__types__numbers_named_like_ids__by_how_many_there_are(shop):
    shop.table("a", "select range as id, range % 5 as type_id, range * 7 as externalId from range(500)")
    assert kinds(shop) == {"id": "id", "type_id": "categorical", "externalId": "id"}


def test__types__texts__by_length_and_spread(shop):
    shop.table(
        "a",
        "select range as id, 'the quick brown fox number ' || range || ' jumps over a dog' as comment, "
        "md5(range::varchar) as digest, 'name' || range as surname, 'country ' || range % 40 as country, "
        "null::varchar as nothing from range(500)",
    )
    assert kinds(shop) == {
        "id": "id",
        "comment": "text",
        "digest": "id",
        "surname": "text",
        "country": "categorical",
        "nothing": "categorical",
    }


def test__types__declared__wins_and_is_not_inferred(shop):
    shop.table(
        "a",
        "select range as id, range as zip from range(9)",
        columns={"ZIP": {"meta": {"rfm": {"semantic_type": "categorical"}}}},
    )
    column = shop.schema().table("a").column("zip")
    assert (column.semantic_type, column.inferred) == (SemanticType.CATEGORICAL, False)
    assert shop.schema().table("a").column("id").inferred


def test__types__declared_with_a_typo__candidate(shop):
    shop.table("a", "select 1 as id", columns={"id": {"meta": {"rfm": {"semantic_type": "numeric"}}}})
    with pytest.raises(ProjectError, match=r"model\.shop\.a, column id.*'numeric'(.|\n)*Did you mean numerical"):
        shop.schema()


def test__types__nested_and_binary__left_out_and_said(shop):
    shop.table("a", "select 1 as id, [1] as tags, {'a': 1} as payload, 'x'::blob as picture, time '10:00' as clock")
    schema = shop.schema()
    assert [c.name for c in schema.table("a").columns] == ["id"]
    assert any("a.tags (INTEGER[])" in note and "a.clock (TIME)" in note for note in schema.notes)


@pytest.mark.parametrize(
    ("spread", "shape", "expected"),
    [
        (Spread(1000, 1000, 101), TextShape(8, 2, 20, 0.5), SemanticType.CATEGORICAL),
        (Spread(1000, 1000, 900), TextShape(8, 2, 20, 0.5), SemanticType.TEXT),
        (Spread(9999, 9999, 2000), TextShape(8, 2, 20, 0.5), SemanticType.CATEGORICAL),
        (Spread(1000, 1000, 50), TextShape(60, 40, 80, 9), SemanticType.CATEGORICAL),
        (Spread(1000, 1000, 200), TextShape(60, 40, 80, 9), SemanticType.TEXT),
        (Spread(1000, 1000, 1000), TextShape(32, 32, 32, 0), SemanticType.ID),
        (Spread(1000, 1000, 1000), TextShape(32, 32, 32, 4), SemanticType.TEXT),
    ],
)
def test__text_type__spread_and_shape__type(spread, shape, expected):
    assert text_type("label", spread, shape) is expected


def test__ignore__column__left_out_with_its_links(declared_shop):
    (customers, orders) = declared_shop.tables
    ignore = {"meta": {"rfm": {"ignore": True}}}
    declared_shop.tables = [
        customers,
        type(orders)(**{**vars(orders), "columns": {"total": ignore, "customer_id": ignore}}),
    ]
    schema = declared_shop.schema()
    assert [c.name for c in schema.table("orders").columns] == ["order_id", "ordered_at"]
    assert schema.links == ()
    assert any("orders.customer_id -> customers.customer_id: not used" in note for note in schema.notes)


def test__ignore__key__refused(shop):
    shop.table("a", "select 1 as id", columns={"id": {"meta": {"rfm": {"ignore": True}}}})
    with pytest.raises(ProjectError, match="ignore is set on id, which is the key or the time of a"):
        shop.schema()


def test__meta__unknown_entry__candidate(shop):
    shop.table("a", "select 1 as id", meta={"rfm": {"time_colum": "x"}})
    with pytest.raises(ProjectError, match=r"unknown entry meta\.rfm\.time_colum(.|\n)*Did you mean time_column"):
        shop.schema()


def test__meta__options_of_a_prediction__allowed_on_a_table(shop):
    shop.table("a", "select 1 as id", meta={"rfm": {"context_size": 100}})
    assert shop.schema().table("a").primary_key == ("id",)
