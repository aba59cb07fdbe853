"""Messages say where, what and what to write instead."""

from __future__ import annotations

from dbt_rfm.errors import ProjectError, QueryError, did_you_mean, nearest


def test__query_error__position_on_second_line__points_at_the_word() -> None:
    text = "PREDICT COUNT(orders.*, 0, 30)\nFOR EACH custmers.id"
    error = QueryError("unknown table custmers", text=text, position=text.index("custmers"), length=8, hint="Write x.")
    assert str(error) == (
        "query, line 2, column 10: unknown table custmers\n    FOR EACH custmers.id\n             ^^^^^^^^\n  Write x."
    )


def test__query_error__without_text__is_one_line() -> None:
    assert str(QueryError("nothing to predict")) == "query: nothing to predict"


def test__project_error__with_where_and_hint__reads_where_first() -> None:
    assert str(ProjectError("no key", where="model.shop.orders", hint="Add unique.")) == (
        "model.shop.orders: no key\n  Add unique."
    )


def test__nearest__typo_in_another_case__finds_the_name() -> None:
    assert nearest("Custmer_ID", ["customer_id", "order_id", "x"])[0] == "customer_id"


def test__did_you_mean__nothing_near__lists_what_is_known() -> None:
    assert did_you_mean("zzz", ["orders", "customers"]) == "Known: customers, orders."
    assert did_you_mean("zzz", []) == ""
