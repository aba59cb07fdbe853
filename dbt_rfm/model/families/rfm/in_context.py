"""`rfm`: answer from labelled examples with the bundled network, without training.

In: context examples with labels and query examples, as feature tables. Out: predictions for the queries. The context
is sampled down and its columns screened (`reading`). Opinions on it answer: the pretrained network, which attends to
up to a thousand rows encoded once, lines and boosted trees over up to ten thousand (`opinions`). What each is worth is
learnt on the newest rows of the context (`mixing`). A quick answer does without trees and learning. Figures of each
alone: docs/model_card.md. Queries are scored in chunks at flat memory; input and seed decide the answer, but for the
order of sums (`turn`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from dbt_rfm.errors import DataError, ModelError, did_you_mean
from dbt_rfm.model.families.rfm import MAX_CONTEXT
from dbt_rfm.model.families.rfm.akin import PreparedOverKin, has_kin, kin_of
from dbt_rfm.model.families.rfm.answers import PreparedClasses, PreparedNumber
from dbt_rfm.model.families.rfm.class_slots import ClassSlots
from dbt_rfm.model.families.rfm.mixing import Mix
from dbt_rfm.model.families.rfm.network import RelationalTransformer
from dbt_rfm.model.families.rfm.opinions import CLASSES, NUMBERS, QUICK, ClassOpinions, NumberOpinions
from dbt_rfm.model.families.rfm.tail import Tail
from dbt_rfm.model.families.rfm.usual import Usual
from dbt_rfm.model.families.rfm.word_scores import PreparedOverWords, WordScores, has_words
from dbt_rfm.model.interface import Labelled
from dbt_rfm.model.prepared import QUANTILE_LEVELS, Prepared, PreparedConstant
from dbt_rfm.model.reading import HeldOut, Question, Reading
from dbt_rfm.task_kind import ONE_LABEL, TaskKind

_HELD_ROWS = 500  # asked to learn what the opinions are worth


@dataclass(frozen=True)
class InContextOptions:
    context_size: int = MAX_CONTEXT  # examples read, by line and trees
    attended: int = 1000  # of these, by the network
    columns: int = 64  # at most, after screening
    members: int = 1  # readings by the network, averaged; each costs a full pass
    chunk: int = 1024  # query rows scored at once
    thorough: bool = True  # with trees, and weights learnt on held-out rows; without: network and line, half each

    @classmethod
    def read(cls, given: dict[str, Any] | None) -> InContextOptions:
        """Raises ModelError for an unknown name or a value that is not a whole number ≥ 1 (context_size ≥ 2)."""
        known = [f.name for f in fields(cls)]
        for name, value in (given or {}).items():
            if name not in known:
                raise ModelError(f"the model 'rfm' has no option {name}", hint=did_you_mean(name, known))
            if name == "thorough":
                if not isinstance(value, bool):
                    raise ModelError(f"option thorough is {value!r}, expected true or false")
                continue
            least = 2 if name in ("context_size", "attended") else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ModelError(f"option {name} is {value!r}, expected a whole number of at least {least}")
        return cls(**(given or {}))


class InContextModel:
    name = "rfm"
    reads_rows = False

    def __init__(
        self,
        network: RelationalTransformer,
        *,
        version: str,
        checkpoint_sha: str,
        options: InContextOptions | None = None,
        tuned: RelationalTransformer | None = None,
    ) -> None:
        """`tuned`: the network adapted to a task, which is asked as well; version and sha are then its own."""
        self.network, self.tuned = network.eval(), tuned
        self.networks = (self.network,) if tuned is None else (self.network, tuned.eval())
        self.options = options or InContextOptions()
        self._version, self._sha = version, checkpoint_sha

    @property
    def version(self) -> str:
        return self._version

    @property
    def checkpoint_sha(self) -> str:
        return self._sha

    def with_options(self, **changes: Any) -> InContextModel:
        """The same network with other options."""
        options = InContextOptions.read(asdict(self.options) | changes)
        names = {"version": self._version, "checkpoint_sha": self._sha}
        return InContextModel(self.network, **names, options=options, tuned=self.tuned)

    def with_tuned(self, tuned: RelationalTransformer, checkpoint_sha: str) -> InContextModel:
        """The same model with a second network, adapted to a task, of which these are the weights."""
        version = f"{self._version}-tuned-{checkpoint_sha[:8]}"
        return InContextModel(
            self.network, version=version, checkpoint_sha=checkpoint_sha, options=self.options, tuned=tuned
        )

    def prepare(self, known: Labelled, *, seed: int = 0) -> Prepared:
        """See `interface.RelationalModel`: the context is read and encoded once."""
        known = checked(known)
        if len(np.unique(known.labels)) == 1:
            return PreparedConstant(known.kind, known.classes, known.labels)
        if has_kin(known, thorough=self.options.thorough):
            kin, told = kin_of(known, seed=seed)
            return PreparedOverKin(kin, self._prepare(told, seed))
        return self._prepare(known, seed)

    def _prepare(self, known: Labelled, seed: int) -> Prepared:
        if has_words(known.examples):
            words, told = WordScores.of(known, seed=seed)
            return PreparedOverWords(words, self._prepare(told, seed))
        question, slots = self.question(known, seed=seed)
        if slots is None:
            return self._prepare_number(question)
        reading, fit = self.read(question), self._fitting()
        mix = Mix.equal(CLASSES if self.options.thorough else QUICK)
        if (held := self._held_out(question, reading)) is not None:
            said = ClassOpinions.fit(self.networks, question, held.inner, **fit).log_odds(held.asked)
            mix = Mix.of_classes([odds - held.log_odds for odds in said], held.labels)  # to the shares of the drawn
        opinions = ClassOpinions.fit(self.networks, question, reading, **fit)
        return PreparedClasses(known.kind, known.classes, reading, opinions, mix, slots)

    def question(self, known: Labelled, *, seed: int) -> tuple[Question, ClassSlots | None]:
        """What is asked, with the slots of the classes; of a number there are none. Labels are checked already."""
        context, labels, kind, times, chunk = known.examples, known.labels, known.kind, known.times, self.options.chunk
        if kind is TaskKind.REGRESSION:
            return Question(context, labels, kind, 0, seed, times, chunk), None
        slots = ClassSlots.of(labels, len(known.classes))
        return Question(context, slots.position[labels], kind, slots.number, seed, times, chunk), slots

    def _prepare_number(self, question: Question) -> Prepared:
        reading, fit = self.read(question), self._fitting()
        mix, errors = Mix.equal(NUMBERS if self.options.thorough else QUICK), None
        if (held := self._held_out(question, reading)) is not None:
            inner = NumberOpinions.fit(self.networks, question, held.inner, **fit)
            errors = inner.tree_errors(held.asked, held.labels)
            mix = Mix.of_numbers(inner.quantiles(held.asked, errors), held.labels, QUANTILE_LEVELS)
        opinions = NumberOpinions.fit(self.networks, question, reading, **fit)
        numbers = tuple(reading.chosen[~reading.categorical])
        context, expected = question.context.take(reading.rows), opinions.scale.to_label(opinions.line.held_out)
        tail = Tail.of(context.select(numbers).columns, reading.labels, expected)
        usual = Usual.of(context, reading.labels, expected)
        whole = bool((question.labels == np.round(question.labels)).all())
        return PreparedNumber(reading, opinions, mix, errors, tail, numbers, usual, whole)

    def read(self, question: Question) -> Reading:
        return question.read(context_size=self.options.context_size, columns=self.options.columns)

    def _held_out(self, question: Question, reading: Reading) -> HeldOut | None:
        return reading.held_out(_HELD_ROWS, question.rng(0, "held out")) if self.options.thorough else None

    def _fitting(self) -> dict[str, Any]:
        options = self.options
        return {"attended": options.attended, "members": options.members, "thorough": options.thorough}


def checked(known: Labelled) -> Labelled:
    """With labels as int64 or float64. Raises ModelError or DataError for what no answer can be given to."""
    context, labels, kind, classes = known.examples, known.labels, known.kind, known.classes
    if kind not in ONE_LABEL:
        raise ModelError(f"the model 'rfm' does not answer {kind} tasks", hint=f"It answers: {', '.join(ONE_LABEL)}.")
    known.require(1)
    if context.columns and context.num_rows != len(labels):
        raise ModelError(f"expected one label per context row, got {len(labels)} for {context.num_rows}")
    if kind is TaskKind.REGRESSION:
        numbers = np.asarray(labels, dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise DataError(f"{len(bad)} of {len(numbers)} labels are not finite numbers, e.g. in row {bad[0]}")
        return replace(known, labels=_told_apart(numbers))
    positions = np.asarray(labels)
    if len(classes) == 0 or not np.isin(positions, np.arange(len(classes))).all():
        raise ModelError(
            f"expected labels to be positions among {len(classes)} classes, got {np.unique(positions)[:5]}"
        )
    return replace(known, labels=positions.astype(np.int64))


def _told_apart(numbers: np.ndarray) -> np.ndarray:
    """Twelve digits of the largest: sums that are equal but were added up in another order are equal again.

    Ranks and medians tell apart what differs in the sixteenth digit, and trees make much of it.
    """
    largest = np.abs(numbers).max(initial=0.0)
    return numbers if largest == 0 else np.round(numbers, min(11 - int(np.floor(np.log10(largest))), 300))
