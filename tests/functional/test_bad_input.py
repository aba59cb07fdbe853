"""Bad input gives one clear message, no traceback, and leaves the served table as it was.

One dbt run answers all of them: each is a model of its own, with a table of that name already served.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dbt_projects import Project, Run
from shop_project import CHURN, predict

pytestmark = pytest.mark.functional

TABLES = {
    "keyless": "select customer_id % 3 as group_id, signed_up_at from {{ ref('customers') }}",
    "timeless": "select order_id as line_id, customer_id, amount from {{ ref('orders') }}",
    "nothing": "select order_id as nothing_id, customer_id, ordered_at from {{ ref('orders') }} where false",
    "newcomers": "select customer_id as newcomer_id, timestamp '2025-06-30' as joined_at from {{ ref('customers') }}",
    "visits": "select order_id as visit_id, customer_id as newcomer_id, ordered_at as visited_at "
    "from {{ ref('orders') }} where ordered_at > timestamp '2025-06-29'",
    "repeated": "select customer_id % 50 as repeated_id, signed_up_at from {{ ref('customers') }}",
    "purchases": "select order_id as purchase_id, customer_id % 50 as repeated_id, ordered_at from {{ ref('orders') }}",
}

SCHEMA = """
models:
  - {name: timeless, columns: [{name: line_id, data_tests: [unique, not_null]}, {name: customer_id, data_tests: [
      {relationships: {arguments: {to: ref('customers'), field: customer_id}}}]}]}
  - {name: nothing, columns: [{name: nothing_id, data_tests: [unique, not_null]}, {name: customer_id, data_tests: [
      {relationships: {arguments: {to: ref('customers'), field: customer_id}}}]}]}
  - {name: newcomers, columns: [{name: newcomer_id, data_tests: [unique, not_null]}]}
  - {name: visits, columns: [{name: visit_id, data_tests: [unique, not_null]}, {name: newcomer_id, data_tests: [
      {relationships: {arguments: {to: ref('newcomers'), field: newcomer_id}}}]}]}
  - {name: repeated, columns: [{name: repeated_id, data_tests: [unique, not_null]}]}
  - {name: purchases, columns: [{name: purchase_id, data_tests: [unique, not_null]}, {name: repeated_id, data_tests: [
      {relationships: {arguments: {to: ref('repeated'), field: repeated_id}}}]}]}
"""

# name -> (model, words of the message)
BAD = {
    "typo": (predict(CHURN.replace("PREDICT", "PREDCIT")), ["PREDCIT", "PREDICT", "line 1"]),
    "unknown_column": (
        predict(CHURN.replace("= 0 FOR", "> 0 AND SUM(orders.amuont, 0, 30) > 1 FOR")),
        ["amuont", "amount"],
    ),
    "unknown_key": (
        predict(CHURN.replace("customers.customer_id", "customers.custmer_id")),
        ["custmer_id", "customer_id"],
    ),
    "quote": (predict(CHURN.replace("WHERE", "WHERE customers.segment = 'O'Brien' AND")), ["line 1"]),
    "open_quote": (predict(CHURN.replace("WHERE", "WHERE customers.segment = 'plus AND")), ["line 1"]),
    "semicolon": (predict(CHURN + "; drop table customers"), [";"]),
    "no_primary_key": (
        predict("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH keyless.group_id", arguments=", tables=['keyless']"),
        ["keyless"],
    ),
    "duplicate_key": (
        predict(
            "PREDICT COUNT(purchases.*, 0, 30, days) FOR EACH repeated.repeated_id",
            arguments=", tables=['repeated', 'purchases']",
        ),
        ["in more than one row of repeated_id"],
    ),
    "no_time_column": (
        predict(
            "PREDICT COUNT(timeless.*, 0, 30, days) FOR EACH customers.customer_id", arguments=", tables=['timeless']"
        ),
        ["timeless", "time"],
    ),
    "empty_table": (
        predict(
            "PREDICT COUNT(nothing.*, 0, 30, days) = 0 FOR EACH customers.customer_id", arguments=", tables=['nothing']"
        ),
        [],
    ),
    "no_history": (
        predict(
            "PREDICT COUNT(visits.*, 0, 30, days) FOR EACH newcomers.newcomer_id",
            arguments=", tables=['visits', 'newcomers']",
        ),
        ["no window of 30 days to learn from"],
    ),
    "one_class": (predict(CHURN.replace("= 0 FOR", ">= 0 FOR")), ["has the label true"]),
    "unlinked": (
        predict(
            "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH newcomers.newcomer_id", arguments=", tables=['newcomers']"
        ),
        ["orders", "newcomers"],
    ),
    "option": (predict(rfm="'on_wrose': 'hold'"), ["on_wrose", "on_worse"]),
    "option_value": (predict(rfm="'context_size': 'large'"), ["context_size", "large"]),
    "options_text": (
        "{{ config(materialized='prediction', meta={'rfm': 'fast'}) }}{{ dbt_rfm.predict('PREDICT') }}",
        ["fast"],
    ),
    "no_prediction": (
        "{{ config(materialized='table') }}{{ dbt_rfm.predict(\"" + CHURN + '") }}',
        ["no_prediction holds a predictive query and is materialized as table", "materialized='prediction'"],
    ),
    "not_a_query": ("{{ config(materialized='prediction') }} select 1 as one", ["select 1 as one", "predict()"]),
    "same_alias": (predict(arguments=", tables={'orders': ref('timeless')}"), ["two tables have the alias orders"]),
    "same_alias_but_case": (
        predict(arguments=", tables={'Orders': ref('timeless')}"),
        ["two tables have the alias Orders"],
    ),
    "ephemeral": (predict(arguments=", tables=['passing']"), ["passing is ephemeral"]),
}


@pytest.fixture(scope="class")
def bad_run(shop: Project) -> Iterator[Run]:
    for name, sql in TABLES.items():
        shop.write(f"models/{name}.sql", sql)
    shop.write("models/passing.sql", "{{ config(materialized='ephemeral') }} select * from {{ ref('customers') }}")
    shop.write("models/more.yml", SCHEMA)
    built = shop.dbt("run", "--select", *TABLES)
    assert built.success, built.log
    for name, (text, _) in BAD.items():
        shop.write(f"models/bad/{name}.sql", text)
        shop.execute(f"create table {name} as select 42 as served")
    yield shop.dbt("run", "--select", "path:models/bad")


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test__bad_input__one_message__names_what_is_wrong(self, bad_run: Run, name: str) -> None:
        message = bad_run.messages[name]

        assert bad_run.results[name] == "error"
        assert "Traceback" not in message and "unexpected" not in message
        for word in BAD[name][1]:
            assert word in message

    def test__bad_input__served_tables__are_untouched(self, bad_run: Run, shop: Project) -> None:
        for name in BAD:
            assert shop.rows(f"select * from {name}") == [(42,)]

    def test__bad_input__nothing__is_recorded(self, bad_run: Run, shop: Project) -> None:
        tables = [r[0] for r in shop.rows("select table_name from information_schema.tables")]
        assert not [t for t in tables if t.endswith("__history")]


class TestUnparsable:
    """What dbt itself refuses before anything runs."""

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (
                predict(CHURN.replace("orders.*, 0", "ordres.*, 0")),
                "depends on a node named 'ordres' which was not found",
            ),
            (predict(arguments=", tables='orders'"), "tables=: expected a list of names or a mapping"),
            (predict(arguments=", tables=[ref('orders')]"), "tables=: a list holds names"),
            (predict(arguments=", tables={'a/b': ref('orders')}"), "a/b is no name for a table"),
        ],
    )
    def test__parse__bad_tables__one_message(self, shop: Project, model: str, message: str) -> None:
        shop.write("models/churn.sql", model)

        parsed = shop.dbt("parse")

        assert not parsed.success
        assert message in parsed.log and "Traceback" not in parsed.log
