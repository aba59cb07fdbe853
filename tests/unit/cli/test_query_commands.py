"""check, predict and evaluate on a small project, with a model that needs no weights."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from asking import Double

from dbt_rfm.evaluate.backtest import point_prediction
from dbt_rfm.model.interface import FeatureTable, Predictions

CHURN = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
SPEND = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"


pytestmark = pytest.mark.usefixtures("averages")


class ByRecency(Double):
    """Answers by how long ago the last order was."""

    name = version = "by recency"

    def predict(self, context: FeatureTable, labels, query: FeatureTable, kind, classes, **_: object) -> Predictions:
        recency = np.nan_to_num(query.columns[query.names.index("orders.recency")])
        return point_prediction(100 - recency, 100 - recency)


@pytest.fixture
def ask(command, project: Path):
    return lambda *arguments: command(*arguments, "--project-dir", project)


def test__check__query__says_what_it_would_learn_from(ask) -> None:
    code, shown, error = ask("check", CHURN)
    assert (code, error) == (0, "")
    assert "binary" in shown and "orders.customer_id" in shown
    # 30-day windows back from the newest order to the first: 11 anchors, at each of which all 60 customers exist.
    assert "Examples:    660 at 11 anchors" in shown
    assert "60 customers as of 2024-12-2" in shown and "false" in shown and "true" in shown


def test__check__source_that_only_the_query_names__says_what_a_model_needs(command, own_project: Path) -> None:
    manifest = own_project / "target" / "manifest.json"
    found = json.loads(manifest.read_text())
    node = found["nodes"].pop("model.shop.orders")
    found["sources"] = {"source.shop.app.orders": {**node, "resource_type": "source", "source_name": "app"}}
    found["sources"]["source.shop.app.orders"]["unique_id"] = "source.shop.app.orders"
    manifest.write_text(json.dumps(found))
    (own_project / "dbt_project.yml").write_text("name: shop\nprofile: shop\nvars: {dbt_rfm_graph: [customers]}\n")

    shown = command("check", CHURN, "--project-dir", own_project)[1]

    assert "note: predict() in a dbt model needs tables=['app.orders']" in shown


def test__check__graph_has_every_table__a_model_needs_no_more(ask) -> None:
    assert "predict()" not in ask("check", CHURN)[1]


def test__check__entities_named__only_they_are_asked(ask) -> None:
    named = CHURN.replace("FOR EACH customers.customer_id", "FOR EACH customers.customer_id IN (7, 8, 999)")
    shown = ask("check", named)[1]
    assert "Examples:    660 at 11 anchors" in shown and "Asks for:    2 customers as of" in shown
    shown = ask("check", CHURN.replace("FOR EACH customers.customer_id", "FOR customers.customer_id = 999"))[1]
    assert "no row of customers with customer_id 999 fulfils the query: the prediction would be empty" in shown


def test__check__very_many_classes__the_commonest_are_listed(ask, project: Path) -> None:
    import duckdb

    with duckdb.connect(str(project / "shop.duckdb")) as database:
        database.execute("alter table customers add column name varchar")
        database.execute("update customers set name = 'customer ' || customer_id")
    shown = ask("check", "PREDICT customers.name FOR EACH customers.customer_id")[1]
    labels = shown[shown.index("Labels:") :].splitlines()[0]
    assert labels.endswith(" and 40 more") and labels.count("%") == 20


def test__check__sql__runs_and_gives_the_labels_that_were_counted(ask, project: Path) -> None:
    import duckdb

    _, shown, _ = ask("check", CHURN, "--sql")
    sql = shown[shown.index("WITH ") :]
    with duckdb.connect(str(project / "shop.duckdb"), read_only=True) as database:
        counted = dict(database.execute(f"select label, count(*) from ({sql}) group by 1").fetchall())
    assert f"true {counted[True]} (" in shown and f"false {counted[False]} (" in shown


def test__check__regression__describes_the_labels(ask) -> None:
    _, shown, _ = ask("check", SPEND)
    labels = shown[shown.index("Labels:") :].splitlines()[0]
    figures = dict(part.split() for part in labels.removeprefix("Labels:").split(", "))
    assert list(figures) == ["min", "p10", "median", "p90", "max", "mean"]
    assert 0 <= float(figures["min"]) <= float(figures["p10"]) <= float(figures["median"]) <= float(figures["p90"])


def test__check_and_evaluate__take_the_words_of_the_language(ask) -> None:
    assert ask("check", f"EXPLAIN {CHURN}")[:2] == ask("check", CHURN)[:2]
    code, shown, _ = ask("evaluate", f"# how good?\n evaluate {CHURN}")
    assert code == 0 and "backtest on 60 rows" in shown
    code, _, error = ask("predict", f"EXPLAIN {CHURN}")
    assert code == 1 and "EXPLAIN belongs to the command line" in error and "dbt-rfm check" in error


def test__check__forecast__describes_each_window(ask) -> None:
    code, shown, _ = ask("check", SPEND.replace("FOR EACH", "FORECAST 3 TIMEFRAMES FOR EACH"))
    assert code == 0 and "Labels:      per window: min " in shown and "3 windows of 30 days" in shown


def test__check__json__holds_what_is_printed_and_the_sql(ask) -> None:
    found = json.loads(ask("check", CHURN, "--json")[1])
    assert found["kind"] == "binary" and found["means"].startswith("Predicts:")
    assert found["examples"] == 660 == sum(found["classes"].values()) and found["asked"] == 60
    assert found["first"] < found["last"] < found["anchor"] and found["label_sql"].startswith("WITH ")
    printed = ask("check", CHURN)[1]
    assert [line.removeprefix("note: ") for line in printed.splitlines() if line.startswith("note: ")] == found["notes"]


@pytest.mark.parametrize(
    ("query", "note"),
    [
        (CHURN.replace("= 0", ">= 0"), "every example has the label true: there is nothing to tell apart"),
        (f"{CHURN} WHERE COUNT(orders.*, -1, 0) > 99", "gives a label. WHERE, ASSUMING, an aggregate of nothing"),
        (f"{CHURN} WHERE COUNT(orders.*, -1, 0) > 99", "the prediction would be empty"),
        (f"{SPEND} WHERE customers.customer_id <= 3", "44 labelled examples are few: a shorter window gives more"),
        (SPEND.replace("SUM(orders.amount", "0 * COUNT(orders.*"), "every example has the label 0: there is nothing"),
    ],
)
def test__check__nothing_to_learn__says_so(ask, query: str, note: str) -> None:
    code, shown, _ = ask("check", query)
    assert code == 0 and note in shown


def test__predict__table__ends_with_the_seconds(ask) -> None:
    code, shown, error = ask("predict", CHURN, "--limit", "3")
    assert (code, error) == (0, "")
    assert "60 predictions as of 2024-12-2" in shown and "57 more" in shown
    assert shown.rstrip().splitlines()[-1].startswith("plan ")


def test__predict__json__holds_the_entities_asked_for(ask) -> None:
    code, shown, _ = ask("predict", SPEND, "--json", "--entity", "7", "--entity", "9")
    answer = json.loads(shown)
    assert code == 0 and answer["kind"] == "regression" and set(answer["seconds"]) == {"plan", "model"}
    assert [row["customer_id"] for row in answer["predictions"]] == [7, 9]
    assert set(answer["predictions"][0]) == {"customer_id", "anchor_time", "prediction", "p10", "p50", "p90"}


def test__predict__csv__data_on_stdout_seconds_on_stderr(ask) -> None:
    _, shown, error = ask("predict", CHURN, "--csv")
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert len(rows) == 60 and set(rows[0]) == {"customer_id", "anchor_time", "probability", "prediction"}
    assert error.startswith("plan ")


def test__predict__unknown_entity__says_so_on_stderr(ask) -> None:
    code, _, error = ask("predict", CHURN, "--entity", "7", "--entity", "777")
    assert code == 0 and "no prediction for customers 777" in error


def test__predict__at__is_the_anchor(ask) -> None:
    _, shown, _ = ask("predict", CHURN, "--json", "--at", "2024-06-30 12:00", "--limit", "1")
    assert json.loads(shown)["anchor_time"] == "2024-06-30 12:00:00"


@pytest.mark.parametrize(
    ("query", "help_for_the_reader"),
    [
        ("PREDICT COUNT(order.*, 0, 30, days) = 0 FOR EACH customers.customer_id", "orders"),
        ("PREDICT SUM(orders.amout, 0, 30, days) FOR EACH customers.customer_id", "Did you mean amount?"),
        ("PREDIC COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id", "PREDICT"),
        (f"{CHURN}; drop table orders", "line 1"),
        (f"{CHURN} WHERE customers.region = 'no", "line 1"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "predict", "evaluate"])
def test__bad_query__one_message_with_what_to_write(ask, verb: str, query: str, help_for_the_reader: str) -> None:
    code, shown, error = ask(verb, query)
    assert code == 1 and shown == ""
    assert help_for_the_reader in error and "Traceback" not in error and "unexpected" not in error


def test__predict__explain__says_what_adds_up_to_the_answer(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("dbt_rfm.pipeline.load_model", "dbt_rfm.model.load_model"):
        monkeypatch.setattr(place, lambda *_: ByRecency())
    code, shown, error = ask("predict", SPEND, "--entity", "7", "--explain")
    assert (code, error) == (0, "")
    assert "what is usually answered" in shown and "orders.recency" in shown and "the answer" in shown
    assert "on average" not in shown

    several = ask("predict", SPEND, "--explain", "--limit", "3")[1]
    assert "on average over these 3: orders " in several

    answer = json.loads(ask("predict", SPEND, "--entity", "7", "--entity", "9", "--explain", "--json")[1])
    assert [told["entity"] for told in answer["reasons"]] == [7, 9]
    assert list(answer["on_average"]) == ["orders"]
    for told, row in zip(answer["reasons"], answer["predictions"], strict=True):
        effects = sum(reason["effect"] for reason in told["reasons"])
        assert told["answer"] == row["prediction"] == pytest.approx(told["usual"] + effects + told["rest"])


def test__predict__explain_without_limit__reasons_of_as_many_as_a_table_shows(ask) -> None:
    answer = json.loads(ask("predict", CHURN, "--explain", "--json")[1])
    assert len(answer["predictions"]) == 60 and len(answer["reasons"]) == 20
    assert answer["reasons"][0]["reasons"] == []  # the double answers the same, whatever it is told


def test__predict__explain_a_forecast__says_that_it_has_no_reasons(ask) -> None:
    forecast = "PREDICT SUM(orders.amount, 0, 30, days) FORECAST 2 TIMEFRAMES FOR EACH customers.customer_id"
    code, _, error = ask("predict", forecast, "--explain")
    assert code == 1 and "lists and forecasts have none" in error and "Traceback" not in error


def test__predict__explain_nobody__no_table_of_reasons(ask) -> None:
    code, shown, _ = ask("predict", CHURN, "--explain", "--entity", "777")
    assert code == 0 and "0 predictions" in shown and "Why" not in shown


def test__predict__explain_as_csv__is_a_usage_error(ask) -> None:
    assert ask("predict", CHURN, "--explain", "--csv")[0] == 2


def test__predict__json_and_csv__is_a_usage_error(ask) -> None:
    assert ask("predict", CHURN, "--json", "--csv")[0] == 2


def test__evaluate__query__beside_the_baselines(ask) -> None:
    code, shown, _ = ask("evaluate", CHURN)
    assert code == 0 and "entity history" in shown and "auroc" in shown and "backtest on 60 rows" in shown


def test__evaluate__json__figures_are_plain_numbers(ask) -> None:
    answer = json.loads(ask("evaluate", SPEND, "--json")[1])
    assert answer["primary"] == "mae" and set(answer["baselines"]) == {"constant", "entity history"}
    assert answer["baselines"]["constant"]["spearman"] is None  # undefined: NaN is no JSON


@pytest.mark.parametrize(
    "arguments", [("check", CHURN), ("predict", CHURN), ("evaluate", CHURN), ("schema", "--validate"), ("versions",)]
)
def test__reading_command__database__stays_as_it_is(ask, project: Path, arguments: tuple[str, ...]) -> None:
    before = hashlib.sha256((project / "shop.duckdb").read_bytes()).hexdigest()
    ask(*arguments)
    assert hashlib.sha256((project / "shop.duckdb").read_bytes()).hexdigest() == before
    assert sorted(p.name for p in (project / "target").iterdir()) == ["manifest.json"]
