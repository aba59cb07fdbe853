"""Columns that look like copies of what is predicted are named, innocent ones are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dbt_rfm.collect.give_aways import give_aways
from dbt_rfm.snapshot import CONTEXT, QUERY, Feature
from dbt_rfm.task_kind import TaskKind

ROWS, ASKED = 100, 40
RNG = np.random.default_rng(0)
FRAUD = RNG.random(ROWS) < 0.2
NOISE = RNG.normal(size=ROWS + ASKED)


def notes(kind: TaskKind, labels: object, source: str = "own", **columns: object) -> list[str]:
    """Notes on columns given for the context; what is asked has the same first values, or nulls."""
    whole = {name: list(np.asarray(c, dtype=object)) for name, c in columns.items()}
    examples = pa.table(
        {
            "split": [CONTEXT] * ROWS + [QUERY] * ASKED,
            "label": pa.array([*np.asarray(labels).tolist(), *[None] * ASKED]),
        }
    )
    features = {n: c + (c[:ASKED] if len(c) == ROWS else []) for n, c in whole.items()}
    numbers = {n: not any(isinstance(v, str) for v in c) for n, c in features.items()}
    kinds = {n: pa.float64() if numbers[n] else pa.string() for n in features}
    meta = [Feature(n, "numerical" if numbers[n] else "categorical", source, "t") for n in features]
    return give_aways(kind, examples, pa.table({n: pa.array(c, kinds[n]) for n, c in features.items()}), meta, "t.y")


def test__give_aways__category_made_from_the_label__is_named() -> None:
    scenario = np.where(FRAUD, np.where(NOISE[:ROWS] > 0, "stolen", "forged"), "none")
    (note,) = notes(TaskKind.BINARY, FRAUD, scenario=scenario, amount=NOISE[:ROWS])
    assert note.startswith("scenario alone tells t.y of all 100 examples")
    assert "meta.rfm.ignore: true" in note


def test__give_aways__a_copy_that_is_there_where_it_is_asked_for__may_help() -> None:
    scenario = np.where(FRAUD, "stolen", "none")
    (there,) = notes(TaskKind.BINARY, FRAUD, scenario=scenario)
    (gone,) = notes(TaskKind.BINARY, FRAUD, scenario=[*scenario, *[None] * ASKED])
    assert "is there where it is asked for, which helps if it was there first" in there
    assert "helps" not in gone and gone.startswith("scenario alone tells")


def test__give_aways__missing_exactly_where_nothing_happened__is_named() -> None:
    refund = np.where(FRAUD, NOISE[:ROWS], None)
    assert "refund alone tells" in notes(TaskKind.BINARY, FRAUD, refund=refund)[0]


def test__give_aways__one_threshold_parts_the_classes__is_named() -> None:
    score = NOISE[:ROWS] + 100 * FRAUD
    assert "score alone tells" in notes(TaskKind.BINARY, FRAUD, score=score)[0]


def test__give_aways__a_number_in_another_unit__is_named() -> None:
    label = NOISE[:ROWS]
    assert "cents alone tells" in notes(TaskKind.REGRESSION, label, cents=label * 100 + 3)[0]


def test__give_aways__good_but_honest_columns__are_not_named() -> None:
    likely = np.where(FRAUD ^ (np.arange(ROWS) % 25 == 0), "high", "low")
    key = [f"k{i}" for i in range(ROWS)]
    assert notes(TaskKind.BINARY, FRAUD, likely=likely, key=key, amount=NOISE[:ROWS]) == []
    assert notes(TaskKind.REGRESSION, NOISE[:ROWS], near=NOISE[:ROWS] + 0.1 * NOISE[ASKED:]) == []


def test__give_aways__of_children__are_not_looked_at() -> None:
    assert notes(TaskKind.BINARY, FRAUD, source="child", copy=np.where(FRAUD, "a", "b")) == []


def test__give_aways__what_other_rows_of_a_category_did__is_no_column_to_leave_out() -> None:
    since = [*NOISE[:ROWS], *[None] * ASKED]
    assert notes(TaskKind.BINARY, FRAUD, source="parent", **{"t>code.recency": since, "t.shop>shops<t.n": since}) == []


def test__give_aways__known_with_the_outcome_and_missing_without__is_named() -> None:
    reviewer = [*NOISE[:ROWS], *[None] * ASKED]
    (note,) = notes(TaskKind.BINARY, FRAUD, reviewer=reviewer)
    assert note.startswith("reviewer is there where t.y is known and missing where it is asked for")
