"""Options are checked once, and a typo is an error."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import ProjectError
from dbt_rfm.options import Options


def test__options__nothing_given__defaults() -> None:
    assert Options.read(None) == Options()


def test__options__misspelt_name__names_the_nearest() -> None:
    with pytest.raises(ProjectError, match=r"unknown option meta\.rfm\.on_wors\n  Did you mean on_worse\?"):
        Options.read({"on_wors": "hold"})


def test__options__list_of_neighbors__becomes_a_tuple() -> None:
    assert Options.read({"neighbors": [4]}).neighbors == (4,)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"context_size": 1}, "context_size is 1, expected a whole number from 2 to 100000"),
        ({"context_size": True}, "context_size is True"),
        ({"context_size": "many"}, "context_size is 'many'"),
        ({"on_worse": "stop"}, "on_worse is 'stop', expected 'warn' or 'hold'"),
        ({"backtest": "yes"}, "backtest is 'yes', expected true or false"),
        ({"neighbors": [1, 2, 3]}, "neighbors is"),
        ({"keep_snapshots": -1}, "keep_snapshots is -1, expected 0 or more"),
        ({"reasons": True}, "reasons is True, expected 0 to 10000"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"horizon": 30}, "horizon is 30, expected a text such as"),
        ({"horizon": "  "}, "horizon is '  '\n  Write a number and one of seconds, minutes"),
        ({"horizon": "0 days"}, "horizon is '0 days'"),
        ({"label_delay": "1 fortnight"}, "label_delay is '1 fortnight'\n  Write how long after"),
        ({"label_delay": "due_at + 1 fortnight"}, "label_delay is 'due_at + 1 fortnight'\n  Write how long after"),
        ("context_size", "meta.rfm is 'context_size', expected a mapping of options"),
    ],
)
def test__options__value_of_the_wrong_form__says_what_is_expected(given: object, expected: str) -> None:
    with pytest.raises(ProjectError) as error:
        Options.read(given, where="model.shop.churn")
    assert expected in str(error.value)
    assert str(error.value).startswith("model.shop.churn: ")


def test__options__unknown_model__names_the_nearest() -> None:
    with pytest.raises(
        ProjectError, match=r"there is no model 'kumoo' \(option meta\.rfm\.model\)\n  Did you mean kumo"
    ):
        Options.read({"model": "kumoo"})


def test__options__context__may_be_as_large_as_the_model_can_read() -> None:
    assert Options.read({"model": "kumo", "context_size": 20_000}).context_size == 20_000
    with pytest.raises(ProjectError, match="from 2 to 20000"):
        Options.read({"model": "kumo", "context_size": 20_001})


def test__options__of_the_model__are_kept_with_the_snapshot_and_reach_the_model() -> None:
    options = Options.read({"model": "kumo", "context_size": 50, "model_options": {"estimators": 2}})
    assert options.for_model() == {"context_size": 50, "estimators": 2}
    assert Options.read(options.recorded()) == options


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"fine_tune": 2}, "fine_tune is 2, expected a mapping such as {minutes: 2}"),
        ({"fine_tune": {"minutes": "two"}}, "fine_tune is {'minutes': 'two'}, expected a mapping"),
        ({"fine_tune": {"minutes": 0}}, "number of minutes from 0.01 to 1440"),
        ({"fine_tune": {"hours": 1}}, "fine_tune is {'hours': 1}"),
        ({"fine_tune": {"minutes": 2}, "model": "kumo"}, "the model 'kumo' is not fine-tuned"),
        ({"retrain": {"days": 0}}, "retrain is {'days': 0}, expected a mapping with days (from 1)"),
        ({"retrain": "always"}, "retrain is 'always'"),
        ({"weights": 7}, "weights is 7, expected the path or URL of a folder"),
    ],
)
def test__options__of_training__wrong_form__says_what_is_expected(given: object, expected: str) -> None:
    with pytest.raises(ProjectError) as error:
        Options.read(given)
    assert expected in str(error.value)


def test__options__of_training__are_kept_with_the_snapshot() -> None:
    options = Options.read(
        {"fine_tune": {"minutes": 2}, "retrain": {"days": 30, "drop": 5}, "weights": "s3://bucket/kept"}
    )
    assert Options.read(options.recorded()) == options
    assert "fine_tune" not in Options().recorded()


@pytest.mark.parametrize(
    ("given", "label_table", "said"),
    [
        ({"horizon": "30 days"}, False, "horizon, which is for a label table"),
        ({"auto": {"minutes": 5}}, False, "auto, which is for model: auto"),
        ({"retrain": {"days": 7}}, False, "retrain, which is for weights that are trained"),
        ({"on_worse": "hold", "backtest": False}, False, "on_worse: hold, which needs the backtest"),
        (
            {"reasons": 9, "model": "graph_transformer"},
            False,
            "reasons, which lists, forecasts and models that read rows do not have",
        ),
        ({"reasons": 9}, False, None),
        ({"horizon": "30 days", "auto": {}, "on_worse": "hold"}, True, None),
        ({"auto": {"minutes": 5}, "retrain": {"days": 7}, "model": "auto"}, False, None),
        ({"retrain": {"days": 7}, "fine_tune": {"minutes": 2}}, False, None),
        ({"retrain": {"days": 7}, "model": "graph_transformer"}, False, None),
        ({}, False, None),
    ],
)
def test__without_effect__option_means_nothing_for_the_question__is_named(
    given: dict[str, object], label_table: bool, said: str | None
) -> None:
    notes = Options.read(given).without_effect(label_table=label_table, has_reasons=True)

    assert notes == (() if said is None else (f"options without effect here: {said}",))


def test__without_effect__several__one_note_names_them_all() -> None:
    options = Options.read({"horizon": "30 days", "retrain": {"days": 7}, "reasons": 5})
    (note,) = options.without_effect(label_table=False, has_reasons=False)

    assert "horizon" in note and "retrain" in note and "reasons" in note
