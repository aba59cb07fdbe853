"""What the words of texts say of the label, in one column per class: in place of a column per word.

In: examples of which some columns tell whether a text has a word. Out: the same examples with scores instead: a ridge
regression on all words, which says of a context row what the folds without it have learnt, and of a query what all of
them have. Words are many and each tells little, so chosen one by one they would fill the places of other columns, and
most of what they tell together would be left out (decision 0040). Texts with the same words are in one fold, or a text
that an entity has at many anchors would tell its own labels; but not if they are more than an entity has anchors, as
where texts follow a few templates. Where words tell nothing of what is held out there is no score.

Shapes: N context rows, R rows of any kind, W words, K classes or 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.interface import NUMERICAL, FeatureTable, Labelled, Predictions, Provenance, require_columns
from dbt_rfm.model.prepared import Prepared
from dbt_rfm.model.target_scale import middle_scores
from dbt_rfm.snapshot import OF_WORD
from dbt_rfm.task_kind import TaskKind

_PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_FOLDS = 5
_OF_ONE = 100  # rows with the same words that may be one entity's, at as many anchors
_CLASSES = 12  # the most frequent ones have a score


@dataclass(frozen=True)
class WordScores:
    """`weights` [W + 1, K], the intercepts first; K is 0 where words tell nothing."""

    names: tuple[str, ...]  # of the table with words
    weights: np.ndarray

    @classmethod
    def of(cls, known: Labelled, *, seed: int) -> tuple[WordScores, Labelled]:
        """And the context with its scores."""
        table = known.examples
        x, y = _matrix(table), _targets(known)
        centre, level = x.mean(0), y.mean(0)
        x, left = x - centre, y - level
        held = _held_out(x, left, _folds(x, seed))
        penalty, scores = min(held, key=lambda each: ((left - each[1]) ** 2).sum())
        if ((left - scores) ** 2).sum() >= (left**2).sum():
            return cls(table.names, np.zeros((x.shape[1] + 1, 0))), replace(known, examples=_with(table, scores[:, :0]))
        slopes = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ left)
        weights = np.vstack([level - centre @ slopes, slopes])
        return cls(table.names, weights), replace(known, examples=_with(table, scores + level))

    def scored(self, table: FeatureTable) -> FeatureTable:
        """Raises ModelError if the table has other words than the context."""
        require_columns(table.names, self.names)
        return _with(table, _matrix(table) @ self.weights[1:] + self.weights[0])


@dataclass(frozen=True)
class PreparedOverWords:
    words: WordScores
    inner: Prepared

    @property
    def provenance(self) -> Provenance | None:
        return self.inner.provenance

    def answer(self, query: FeatureTable) -> Predictions:
        return self.inner.answer(self.words.scored(query))


def has_words(table: FeatureTable) -> bool:
    return any(are_words(table))


def are_words(table: FeatureTable) -> list[bool]:
    """By the mark in the name and the single precision, because a name of the user's may have the mark too."""
    pairs = zip(table.names, table.columns, strict=True)
    return [OF_WORD in name and column.dtype == np.float32 for name, column in pairs]


def _matrix(table: FeatureTable) -> np.ndarray:
    """[R, W]; no text has no word."""
    columns = [column for column, is_word in zip(table.columns, are_words(table), strict=True) if is_word]
    return np.nan_to_num(np.stack(columns, 1).astype(np.float32), copy=False)


def _targets(known: Labelled) -> np.ndarray:
    """[N, K] normal scores of numbers; of classes one-hot, of two of them the second."""
    if known.kind is TaskKind.REGRESSION:
        return middle_scores(known.labels)[:, None]
    counts = np.bincount(known.labels, minlength=len(known.classes))
    shown = [1] if len(counts) == 2 else np.argsort(-counts, kind="stable")[:_CLASSES]
    return (known.labels[:, None] == np.array(shown)).astype(np.float64)


def _folds(x: np.ndarray, seed: int) -> np.ndarray:
    """[N] the fold of each row, the same for the same words unless very many have them."""
    same = np.unique(np.packbits(x > 0, axis=1), axis=0, return_inverse=True)[1].ravel()
    rng = np.random.default_rng([abs(seed), *b"words"])
    of_words, of_rows = rng.integers(0, _FOLDS, same.max() + 1), rng.integers(0, _FOLDS, len(same))
    return np.where(np.bincount(same)[same] > _OF_ONE, of_rows, of_words[same])


def _held_out(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Each penalty with what it says [N, K] of each row from the folds without it."""
    whole, towards = x.T @ x, x.T @ y
    found = {penalty: np.zeros_like(y) for penalty in _PENALTIES}
    for fold in np.unique(folds):
        mine = folds == fold
        part = x[mine]
        values, vectors = np.linalg.eigh((whole - part.T @ part).astype(np.float64))
        along, away = vectors.T @ (towards - part.T @ y[mine]), part @ vectors
        for penalty, scores in found.items():
            scores[mine] = away @ (along / (np.maximum(values, 0) + penalty)[:, None])
    yield from found.items()


def _with(table: FeatureTable, scores: np.ndarray) -> FeatureTable:
    """The table with scores [R, K] in place of words."""
    plain = table.select(tuple(i for i, is_word in enumerate(are_words(table)) if not is_word))
    names = tuple(f"words.score{k}" for k in range(scores.shape[1]))
    columns = tuple(np.ascontiguousarray(column, dtype=np.float64) for column in scores.T)
    return FeatureTable(
        (*plain.names, *names), (*plain.kinds, *(NUMERICAL,) * len(names)), (*plain.columns, *columns), table.rows
    )
