"""What else can be done with the same rows, to stand beside a model.

Two baselines from labels alone: `constant` (base rate, or median and mean, of the context) and `entity history` (the
entity's own over all labels it could learn from). With the extra `bench`, two learners on the same features and
context as the model: `lightgbm` and `linear` (logistic regression; ridge for numbers). They are fitted with fixed,
moderate settings, as somebody without time to tune would; nothing is chosen on the queried rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from dbt_rfm.evaluate.backtest import point_prediction
from dbt_rfm.model.interface import CATEGORICAL, FeatureTable, Predictions
from dbt_rfm.task_kind import TaskKind

LIGHTGBM, LINEAR = "lightgbm", "linear"
#: One-hot columns a categorical feature gets in the linear peer: its commonest values.
ONE_HOT = 20
#: One thread: a few thousand rows need no more, and on a busy machine waiting threads cost a hundredfold.
_TREES = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_child_samples": 20,
    "n_estimators": 150,
    "n_jobs": 1,
    "verbose": -1,
}

#: context, labels, query, kind, classes, seed -> predictions
Learner = Callable[[FeatureTable, np.ndarray, FeatureTable, TaskKind, tuple[str, ...], int], Predictions]


def constant(labels: np.ndarray, rows: int, kind: TaskKind, classes: tuple[str, ...]) -> Predictions:
    if kind == TaskKind.REGRESSION:
        return point_prediction(np.full(rows, np.median(labels)), np.full(rows, labels.mean()))
    return Predictions(kind, classes, probabilities=np.tile(_rates(labels, len(classes)), (rows, 1)))


def entity_history(
    pool_entities: pa.ChunkedArray,
    pool_labels: np.ndarray,
    entities: pa.ChunkedArray,
    kind: TaskKind,
    classes: tuple[str, ...],
) -> Predictions:
    """Each entity's own labels in the pool: median and mean, or shares; the constant where it has none."""
    groups: dict[object, list[float]] = {}
    for entity, label in zip(pool_entities.to_pylist(), pool_labels.tolist(), strict=True):
        groups.setdefault(entity, []).append(label)
    asked = entities.to_pylist()
    if kind == TaskKind.REGRESSION:
        everyone = np.median(pool_labels), pool_labels.mean()
        points = [(np.median(groups[e]), np.mean(groups[e])) if e in groups else everyone for e in asked]
        return point_prediction(np.array([p[0] for p in points]), np.array([p[1] for p in points]))
    rates = _rates(pool_labels, len(classes))
    shares = {e: np.bincount(np.array(v, dtype=int), minlength=len(classes)) / len(v) for e, v in groups.items()}
    return Predictions(kind, classes, probabilities=np.array([shares.get(e, rates) for e in asked]))


def lightgbm(
    context: FeatureTable, labels: np.ndarray, query: FeatureTable, kind: TaskKind, classes: tuple[str, ...], seed: int
) -> Predictions:
    import lightgbm as booster  # of the extra `bench`

    x, x_query = _coded(context, query)
    categorical = [i for i, k in enumerate(context.kinds) if k == CATEGORICAL]
    settings = {**_TREES, "random_state": seed, "deterministic": True, "force_row_wise": True}

    def fitted(learner: Any, **more: object) -> Any:
        return learner(**settings, **more).fit(x, labels, categorical_feature=categorical)

    if kind == TaskKind.REGRESSION:
        median = fitted(booster.LGBMRegressor, objective="l1").predict(x_query)
        return point_prediction(median, fitted(booster.LGBMRegressor, objective="l2").predict(x_query))
    learner = fitted(booster.LGBMClassifier)
    return _of_classes(learner.predict_proba(x_query), learner.classes_, kind, classes)


def linear(
    context: FeatureTable, labels: np.ndarray, query: FeatureTable, kind: TaskKind, classes: tuple[str, ...], seed: int
) -> Predictions:
    from sklearn import linear_model as models  # of the extra `bench`

    x, x_query = _dense(context, query)
    if kind == TaskKind.REGRESSION:
        point = models.Ridge(alpha=10.0, random_state=seed).fit(x, labels).predict(x_query)
        return point_prediction(point, point)
    learner = models.LogisticRegression(C=0.1, max_iter=500, random_state=seed).fit(x, labels)
    return _of_classes(learner.predict_proba(x_query), learner.classes_, kind, classes)


LEARNERS: dict[str, Learner] = {LIGHTGBM: lightgbm, LINEAR: linear}


def _rates(labels: np.ndarray, classes: int) -> np.ndarray:
    counts = np.bincount(labels.astype(np.int64), minlength=classes)
    return counts / counts.sum()


def _of_classes(probabilities: np.ndarray, seen: np.ndarray, kind: TaskKind, classes: tuple[str, ...]) -> Predictions:
    full = np.zeros((len(probabilities), len(classes)))
    full[:, np.asarray(seen, dtype=int)] = probabilities
    return Predictions(kind, classes, probabilities=full)


def _coded(context: FeatureTable, query: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
    """Both tables as numbers: a category is its place among the context's, NaN if missing or unseen."""
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for kind, left, right in zip(context.kinds, context.columns, query.columns, strict=True):
        place = _places(left) if kind == CATEGORICAL else {}
        for side, values in zip(sides, (left, right), strict=True):
            side.append(np.array([place.get(v, np.nan) for v in values]) if kind == CATEGORICAL else values)
    return np.stack(sides[0], axis=1), np.stack(sides[1], axis=1)


def _dense(context: FeatureTable, query: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
    """Both tables standardised by the context: signed logs, missing marked, the commonest categories one-hot."""
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for kind, left, right in zip(context.kinds, context.columns, query.columns, strict=True):
        expand = _one_hot(left) if kind == CATEGORICAL else _scaled(left)
        for side, values in zip(sides, (left, right), strict=True):
            side.extend(expand(values))
    return np.stack(sides[0], axis=1), np.stack(sides[1], axis=1)


def _one_hot(values: np.ndarray) -> Callable[[np.ndarray], list[np.ndarray]]:
    common = list(_places(values))[:ONE_HOT]
    return lambda given: [(given == each).astype(float) for each in common]


def _scaled(values: np.ndarray) -> Callable[[np.ndarray], list[np.ndarray]]:
    known = _signed_log(values[~np.isnan(values)])
    middle, scale = (float(known.mean()), float(known.std()) or 1.0) if len(known) else (0.0, 1.0)

    def expand(given: np.ndarray) -> list[np.ndarray]:
        missing = np.isnan(given)
        level = (_signed_log(np.where(missing, 0.0, given)) - middle) / scale
        return [np.where(missing, 0.0, np.clip(level, -5, 5)), missing.astype(float)]

    return expand


def _signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def _places(values: np.ndarray) -> dict[str, int]:
    """The known categories, the commonest first."""
    names, counts = np.unique(np.array([v for v in values if v is not None], dtype=str), return_counts=True)
    return {str(names[i]): place for place, i in enumerate(np.argsort(-counts, kind="stable"))}
