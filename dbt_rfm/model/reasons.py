"""Why an answer is what it is: by how much each group of features moves it away from the usual answer.

In: a snapshot, what was learnt from its context, positions of query examples. Out: an `Explanation` of each.
Shapley values (L. S. Shapley, 1953): the answer as a function of which groups of features are the example's own, all
others being those of one past example; a group's effect is what it changes on average over all orders in which groups
become the example's own. Sampled by orders and their reverses (J. Castro et al., 2009), so that the effects of all
groups add up to the answer less the usual one, whatever is sampled. A group is what is told of one thing: of a column
of a table all its windows and statistics, which say nearly the same and could only be told apart by chance.
Time rule: only the features of the example and of examples that are learnt from are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.errors import ModelError
from dbt_rfm.model.examples import label_array, split_rows
from dbt_rfm.model.interface import Predictions
from dbt_rfm.model.prediction_rows import present
from dbt_rfm.model.step import Learnt
from dbt_rfm.snapshot import CONTEXT, OF_VALUE, QUERY, Feature, Snapshot
from dbt_rfm.task_kind import TaskKind

PAST_EXAMPLES = 24  # that an example is held against, each in an order of groups of its own
CANDIDATES = 512  # past examples they are chosen from, evenly by what is answered of them
_FOR_ONE = 8  # of them, to see which feature of a group weighs most
SHOWN = 80  # letters of a text
_STATISTIC = re.compile(
    r"count|mean|sum|min|max|std|last\d*|lag\d+|gap\d+|deviations|spread|ratio|share|distinct|most_frequent|recency"
    r"|tenure|per_day|age|all|\d+[a-z]*"
)
Value = float | str | None


@dataclass(frozen=True)
class Reason:
    """`effect`: of all features of the group, in the unit of the answer; `feature`: the one that weighs most."""

    about: str  # the group, e.g. orders.amount
    feature: str  # e.g. orders.amount.mean.90d
    value: Value
    usual: Value  # the median, or the most frequent category, of the examples that are learnt from
    effect: float


@dataclass(frozen=True)
class Explanation:
    """`answer` = `usual` + the effects of all `reasons` + `rest`. Of a class: of the likeliest one, its probability."""

    answer: float
    usual: float  # what is answered for past examples, on average
    reasons: tuple[Reason, ...]  # the strongest first
    rest: float  # the effect of all other groups
    of_class: str | None
    effects: Mapping[str, float]  # of every group


def explain(
    snapshot: Snapshot, learnt: Learnt, rows: Sequence[int], *, most: int = 5, seed: int = 0
) -> list[Explanation]:
    """`rows`: positions among the query examples; `most`: reasons of each. The same seed gives the same effects.

    Raises ModelError for lists and forecasts, whose answers hang together, and for a model that reads rows.
    """
    if not has_reasons(snapshot.kind):
        raise ModelError("only probabilities, classes and numbers have reasons, lists and forecasts have none")
    if learnt.with_rows:
        raise ModelError(
            "a model that reads rows has no features to name as reasons",
            hint="Ask the same of the model rfm.",
        )
    asked = split_rows(snapshot, QUERY)[np.array(rows, dtype=int)]
    if not len(asked):
        return []
    whole = _Questions(snapshot, learnt, asked[0], _past_examples(snapshot, learnt, seed))
    return [_explained(whole, int(at), most, seed) for at in asked]


def has_reasons(kind: TaskKind) -> bool:
    """Not lists and forecasts, whose answers hang together."""
    return kind not in (TaskKind.LINK, TaskKind.FORECAST)


def group_name(feature: str) -> str:
    """What a feature tells of: its name without value, statistic and window."""
    parts = feature.partition(OF_VALUE)[0].split(".")
    while len(parts) > 1 and _STATISTIC.fullmatch(parts[-1]):
        parts.pop()
    return ".".join(parts)


def _groups(features: Sequence[Feature]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i, feature in enumerate(features):
        name = feature.source if feature.source == "calendar" else group_name(feature.name)
        found.setdefault(name, []).append(i)
    return found


def _past_examples(snapshot: Snapshot, learnt: Learnt, seed: int) -> np.ndarray:
    """Positions of examples that are learnt from, drawn as often as their label is seen in the world."""
    known = split_rows(snapshot, CONTEXT)
    weights = np.ones(len(known))
    if learnt.odds is not None:
        weights = learnt.odds[label_array(snapshot, known)]
    return np.random.default_rng(seed).choice(known, size=CANDIDATES, p=weights / weights.sum())


class _Questions:
    """Examples that do not exist, made of one that does and a past one, and what is answered of them."""

    def __init__(self, snapshot: Snapshot, learnt: Learnt, asked: int, past: np.ndarray) -> None:
        self.snapshot, self.learnt, self.past = snapshot, learnt, past
        self.features = snapshot.features_meta
        self.groups = _groups(self.features)
        self.of_past = self.answers(asked, past, np.zeros((len(past), len(self.features)), dtype=bool))
        self._usual: dict[int, Value] = {}

    def against(self, of_past: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
        """PAST_EXAMPLES of the past ones, evenly by what is answered of them (`of_past`), in random order; the mean of
        what is answered of these. So both hang little on the draw."""
        ranks = (np.arange(PAST_EXAMPLES) * 2 + 1) * len(self.past) // (2 * PAST_EXAMPLES)
        evenly = np.argsort(of_past, kind="stable")[ranks]
        evenly = np.random.default_rng(seed).permutation(evenly)
        return self.past[evenly], float(of_past[evenly].mean())

    def answers(self, at: int, past: np.ndarray, own: np.ndarray) -> Predictions:
        """[Q] of the example at a position with its own features where `own` [Q, features], others of `past` [Q]."""
        columns = {
            feature.name: self.snapshot.features.column(feature.name).take(pa.array(np.where(own[:, i], at, past)))
            for i, feature in enumerate(self.features)
        }
        examples = self.snapshot.examples.take(pa.array(np.full(len(past), at)))
        made = replace(self.snapshot, examples=examples, features=pa.table(columns), rows={})
        return self.learnt.answer(made, QUERY)

    def alike(self, at: int, past: np.ndarray) -> np.ndarray:
        """[past, features] whether a feature of the example at a position is that of the past one."""
        columns = []
        for feature in self.features:
            values = self.snapshot.features.column(feature.name).take(pa.array([at, *past])).to_pylist()
            columns.append([each == values[0] for each in values[1:]])
        return np.array(columns, dtype=bool).reshape(len(columns), len(past)).T

    def value(self, i: int, at: int) -> Value:
        value = self.snapshot.features.column(self.features[i].name)[at].as_py()
        return value if not isinstance(value, str) or len(value) <= SHOWN else f"{value[:SHOWN]}…"

    def usual(self, i: int) -> Value:
        if i not in self._usual:
            known = split_rows(self.snapshot, CONTEXT)
            values = self.snapshot.features.column(self.features[i].name).take(pa.array(known)).combine_chunks()
            self._usual[i] = _usual(values, numbers=self.features[i].kind == "numerical")
        return self._usual[i]


def _usual(values: pa.Array, *, numbers: bool) -> Value:
    """The median or the most frequent; none where most have none."""
    if values.null_count * 2 > len(values):
        return None
    if numbers:
        return float(np.median(values.drop_null().to_numpy(zero_copy_only=False)))
    counted = pc.value_counts(values.drop_null()).to_pylist()
    return max(counted, key=lambda each: (each["counts"], each["values"]))["values"]


def _explained(whole: _Questions, at: int, most: int, seed: int) -> Explanation:
    names, members = list(whole.groups), list(whole.groups.values())
    itself = whole.answers(at, np.array([at]), np.ones((1, len(whole.features)), dtype=bool))
    value_of, of_class = _told(itself)
    past, usual = whole.against(value_of(whole.of_past), seed)
    one = _One(whole, at, past, value_of, float(value_of(itself)[0]))
    effects = _effects(one, members, seed)
    strongest = np.argsort(-np.abs(effects), kind="stable")[:most]
    strongest = strongest[effects[strongest] != 0]
    reasons = []
    for g, i in zip(strongest, _weighing_most(one, [members[g] for g in strongest], effects[strongest]), strict=True):
        name, value, effect = whole.features[i].name, whole.value(i, at), float(effects[g])
        reasons.append(Reason(names[g], name, value, whole.usual(i), effect))
    rest = one.answer - usual - sum(reason.effect for reason in reasons)
    each = dict(zip(names, effects.tolist(), strict=True))
    return Explanation(one.answer, usual, tuple(reasons), rest, of_class, each)


def on_average(explanations: Sequence[Explanation]) -> dict[str, float]:
    """How strong the effect of each group is on average, whatever its sign, the strongest first; those without any are
    left out."""
    names = {name for each in explanations for name in each.effects}
    sizes = {n: float(np.mean([abs(each.effects.get(n, 0.0)) for each in explanations])) for n in sorted(names)}
    return {name: size for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]) if size}


@dataclass(frozen=True)
class _One:
    """An example at a position, the past ones it is held against, and what is answered of it."""

    whole: _Questions
    at: int
    past: np.ndarray
    value_of: Callable[[Predictions], np.ndarray]
    answer: float

    def answers(self, past: np.ndarray, own: np.ndarray) -> np.ndarray:
        return self.value_of(self.whole.answers(self.at, past, own))


def _told(itself: Predictions) -> tuple[Callable[[Predictions], np.ndarray], str | None]:
    """What is explained of an answer: the number, the probability of true or of the likeliest class."""
    if itself.probabilities is None:
        return lambda said: present(said.mean), None
    if itself.kind == TaskKind.BINARY:
        return lambda said: present(said.probabilities)[:, 1], None
    likeliest = int(np.argmax(itself.probabilities[0]))
    return lambda said: present(said.probabilities)[:, likeliest], itself.classes[likeliest]


def _effects(one: _One, members: list[list[int]], seed: int) -> np.ndarray:
    """[groups] effects. Examples that are the same are asked about once."""
    alike = one.whole.alike(one.at, one.past)
    same = np.stack([alike[:, group].all(axis=1) for group in members], axis=1)  # [past, groups]
    orders, steps = _orders(len(members), seed), len(members) + 1
    asked = []
    for r, order in enumerate(orders):
        own = np.arange(steps)[:, None] > np.argsort(order)[None, :]  # [steps, groups]
        asked.append(np.column_stack([np.full(steps, r), own | same[r]]))
    unique, places = np.unique(np.concatenate(asked), axis=0, return_inverse=True)
    by_feature = np.zeros((len(unique), len(one.whole.features)), dtype=bool)
    for g, group in enumerate(members):
        by_feature[:, group] = unique[:, [g + 1]].astype(bool)
    said = one.answers(one.past[unique[:, 0]], by_feature)
    walks = said[places.reshape(-1)].reshape(len(orders), steps)
    effects = np.zeros(len(members))
    for order, walk in zip(orders, walks, strict=True):
        effects[order] += np.diff(walk)
    return effects / len(orders)


def _orders(groups: int, seed: int) -> list[np.ndarray]:
    """An order for each past example, every second one the reverse of the one before."""
    draw = np.random.default_rng(seed)
    drawn = [draw.permutation(groups) for _ in range(PAST_EXAMPLES // 2)]
    return [each for order in drawn for each in (order, order[::-1])]


def _weighing_most(one: _One, groups: list[list[int]], effects: np.ndarray) -> list[int]:
    """Of each group the feature whose past values alone take most of its effect away; if there are any, one of those
    whose value is not the usual one."""
    candidates = [[i for i in g if one.whole.value(i, one.at) != one.whole.usual(i)] or g for g in groups]
    tried = [i for group in candidates for i in group if len(group) > 1]
    past = one.past[:_FOR_ONE]
    own = np.ones((len(tried), len(past), len(one.whole.features)), dtype=bool)
    for k, i in enumerate(tried):
        own[k, :, i] = False
    weighs: dict[int, float] = {}
    if tried:
        said = one.answers(np.tile(past, len(tried)), own.reshape(-1, own.shape[2])).reshape(len(tried), -1)
        weighs = dict(zip(tried, one.answer - said.mean(axis=1), strict=True))
    pairs = zip(candidates, np.sign(effects), strict=True)
    return [max(group, key=lambda i: weighs.get(i, 0.0) * sign) for group, sign in pairs]
