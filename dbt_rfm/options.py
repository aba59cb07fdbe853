"""The options of a prediction model (`config.meta.rfm`), checked once, with their defaults.

An unknown option is an error with candidates rather than a silence: a typo in `on_worse` must not publish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dbt_rfm.errors import ProjectError, did_you_mean
from dbt_rfm.model import MODELS, can_fine_tune, max_context, reads_rows, trains
from dbt_rfm.pql.ast import LONGEST, UNIT_SECONDS, UNITS, Window
from dbt_rfm.pql.delay import Delay

AUTO = "auto"  # no model of its own: the best of them all
_CONTEXT = 10_000
MOST_REASONS = 10_000
_UNLESS_EMPTY = ("context_size", "fine_tune", "retrain", "weights", "reasons")  # recorded only where they are given


@dataclass(frozen=True)
class Options:
    model: str = "rfm"
    model_options: Mapping[str, Any] = field(default_factory=dict)  # the model family's own, e.g. estimators of 'kumo'
    context_size: int | None = None  # labelled examples the model reads, from 2 to what its family can; see `context`
    anchor: str = "latest"  # 'latest' event of the graph | 'now' | a timestamp
    backtest: bool = True
    on_worse: str = "warn"  # 'warn' | 'hold': what a backtest below its baseline does to the version
    seed: int = 0
    device: str = "cpu"
    neighbors: tuple[int, ...] = field(default=(8, 4))  # newest rows kept per link, hop by hop
    keep_snapshots: int = 3  # bundles kept under target/rfm per prediction
    horizon: str = ""  # of a label table, e.g. '30 days'
    auto: Mapping[str, Any] = field(default_factory=dict)  # of model auto: {'minutes': 10} to try the models in
    fine_tune: Mapping[str, Any] = field(default_factory=dict)  # {'minutes': 2}: adapt the weights to the task
    retrain: Mapping[str, Any] = field(default_factory=dict)  # when to train again: {'days': 30, 'drop': 5}
    weights: str = ""  # the folder that keeps trained weights, or its URL; '': under target/rfm
    reasons: int = 0  # of how many predictions the table says why they are what they are: the strongest
    label_delay: str = ""  # when an outcome is known: '7 days', 'due_at', 'due_at + 7 days'; '': nobody has said

    @classmethod
    def read(cls, given: Mapping[str, Any] | None, *, where: str = "") -> Options:
        """Options from `meta.rfm`. Raises ProjectError for an unknown name or a value of the wrong form."""
        if given is not None and not isinstance(given, Mapping):
            raise ProjectError(f"meta.rfm is {given!r}, expected a mapping of options", where=where)
        given = dict(given or {})
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ProjectError(f"unknown option meta.rfm.{name}", where=where, hint=did_you_mean(name, known))
        if isinstance(given.get("neighbors"), list):
            given["neighbors"] = tuple(given["neighbors"])
        if "anchor" in given:
            given["anchor"] = str(given["anchor"])
        options = cls(**given)
        options._check(where)
        return options

    @property
    def context(self) -> int:
        """How many labelled examples are read; of a rare event there may be more (collect/context_size.py)."""
        return _CONTEXT if self.context_size is None else self.context_size

    @property
    def read_rows(self) -> bool:
        """Whether the answer needs the rows around each entity. A benchmark may name a model that is not among ours."""
        return self.model == AUTO or (self.model in MODELS and reads_rows(self.model))

    @property
    def read_words(self) -> bool:
        """Whether the answer reads words of texts.

        What models of rows learn is kept by the names of their columns, which the words of a later context change.
        """
        return self.model == AUTO or not reads_rows(self.model)

    @property
    def trained(self) -> bool:
        """Whether weights, or a choice of the model, are made for the question, where it is answered."""
        return bool(self.fine_tune) or self.model == AUTO or trains(self.model)

    def recorded(self) -> dict[str, Any]:
        """What a snapshot keeps of them: enough to repeat the prediction."""
        names = ("model", "model_options", "seed", "anchor", *_UNLESS_EMPTY)
        kept = {name: getattr(self, name) for name in names} | {"neighbors": list(self.neighbors)}
        return {name: value for name, value in kept.items() if name not in _UNLESS_EMPTY or value}

    def for_model(self) -> dict[str, Any]:
        """What the model is loaded with."""
        size = {} if self.context_size is None else {"context_size": self.context_size}
        return {**size, **self.model_options}

    def without_effect(self, *, label_table: bool, has_reasons: bool) -> tuple[str, ...]:
        """A note on the options that were given and mean nothing for this question; none if all of them do."""
        found = {
            "horizon, which is for a label table": bool(self.horizon) and not label_table,
            "auto, which is for model: auto": bool(self.auto) and self.model != AUTO,
            "retrain, which is for weights that are trained": bool(self.retrain) and not self.trained,
            "reasons, which lists, forecasts and models that read rows do not have": bool(self.reasons)
            and (not has_reasons or (self.model in MODELS and reads_rows(self.model))),
            "on_worse: hold, which needs the backtest": self.on_worse == "hold" and not self.backtest,
        }
        named = "; ".join(text for text, is_idle in found.items() if is_idle)
        return (f"options without effect here: {named}",) if named else ()

    def _check(self, where: str) -> None:
        def expect(ok: bool, name: str, expected: str) -> None:
            if not ok:
                got = getattr(self, name)
                raise ProjectError(f"option meta.rfm.{name} is {got!r}, expected {expected}", where=where)

        names = (*MODELS, AUTO)
        if self.model not in names:
            raise ProjectError(
                f"there is no model {self.model!r} (option meta.rfm.model)",
                where=where,
                hint=did_you_mean(str(self.model), names),
            )
        expect(isinstance(self.model_options, Mapping), "model_options", "a mapping of the model's own options")
        most = min(map(max_context, MODELS)) if self.model == AUTO else max_context(self.model)
        expect(
            self.context_size is None or (_whole(self.context_size) and 2 <= self.context_size <= most),
            "context_size",
            f"a whole number from 2 to {most}",
        )
        expect(isinstance(self.backtest, bool), "backtest", "true or false")
        expect(self.on_worse in ("warn", "hold"), "on_worse", "'warn' or 'hold'")
        expect(_whole(self.seed), "seed", "a whole number")
        expect(self.device in ("cpu", "cuda", "auto"), "device", "'cpu', 'cuda' or 'auto'")
        expect(
            isinstance(self.neighbors, tuple)
            and 1 <= len(self.neighbors) <= 2
            and all(_whole(n) and 0 <= n <= 256 for n in self.neighbors),
            "neighbors",
            "a list of one or two whole numbers from 0 to 256",
        )
        expect(_whole(self.keep_snapshots) and self.keep_snapshots >= 0, "keep_snapshots", "0 or more")
        expect(_whole(self.reasons) and 0 <= self.reasons <= MOST_REASONS, "reasons", f"0 to {MOST_REASONS}")
        self._check_training(expect, where)
        for name, read in (("horizon", read_horizon), ("label_delay", read_delay)):
            expect(isinstance(getattr(self, name), str), name, "a text such as '7 days'")
            try:
                read(getattr(self, name))
            except ProjectError as error:
                raise ProjectError(error.problem, where=where, hint=error.hint) from None

    def _check_training(self, expect: Callable[[bool, str, str], None], where: str) -> None:
        minutes = "a mapping such as {minutes: 2}, with a number of minutes from 0.01 to 1440"
        given = self.fine_tune if isinstance(self.fine_tune, Mapping) else {"": self.fine_tune}
        expect(set(given) <= {"minutes"} and all(_between(v, 0.01, 1440) for v in given.values()), "fine_tune", minutes)
        tried = self.auto if isinstance(self.auto, Mapping) else {"": self.auto}
        expect(set(tried) <= {"minutes"} and all(_between(v, 0.01, 1440) for v in tried.values()), "auto", minutes)
        if self.model == AUTO and (given or self.model_options):
            raise ProjectError(
                "model auto tries models with and without fine-tuning, each with its own options",
                where=where,
                hint="Leave fine_tune and model_options out, or name one model.",
            )
        if given and not can_fine_tune(self.model):
            raise ProjectError(
                f"the model {self.model!r} is not fine-tuned (option meta.rfm.fine_tune)",
                where=where,
                hint="Leave fine_tune out, or write model: rfm.",
            )
        when = "a mapping with days (from 1), drop (percent, from 0) or both"
        asked = self.retrain if isinstance(self.retrain, Mapping) else {"": self.retrain}
        expect(set(asked) <= {"days", "drop"}, "retrain", when)
        expect(_between(asked.get("days", 1), 1, 36_500) and _between(asked.get("drop", 0), 0, 100), "retrain", when)
        expect(isinstance(self.weights, str), "weights", "the path or URL of a folder")


def read_horizon(text: str) -> Window | None:
    """'30 days' as a window; None for ''. Raises ProjectError."""
    window = _window(text)
    if text and (window is None or not window.end):
        raise ProjectError(
            f"option meta.rfm.horizon is {text!r}",
            hint=f"Write a number and one of {', '.join(UNITS)}: at least 1, at most 200 years.",
        )
    return window


def read_delay(text: str) -> Delay | None:
    """'7 days' after the row, '0 days' at once, 'due_at' and 'due_at + 7 days' by a column, whose table nobody has
    looked at yet; None for ''. Raises ProjectError."""
    if not text:
        return None
    window = _window("0 days" if text == "0" else text)
    if window is not None:
        return Delay(window)
    column, _, after = (part.strip() for part in text.rpartition("+"))
    span = _window(after) if column else Window(0, 0)
    name = column or text.strip()
    if span is None or not name or not (name[0].isalpha() or name[0] == "_"):
        raise ProjectError(
            f"option meta.rfm.label_delay is {text!r}",
            hint="Write how long after an event its outcome is known, '7 days', or '0 days' if it is at once; or the "
            "column that says when: due_at, 'due_at + 7 days'.",
        )
    return Delay(span, name)


def _window(text: str) -> Window | None:
    """A number and a unit; None if it is anything else, or longer than a window may be."""
    number, _, name = " ".join(text.split()).partition(" ")
    unit = f"{name.lower().removesuffix('s')}s"
    if not number.isdecimal() or unit not in UNITS or int(number) * UNIT_SECONDS[unit] > LONGEST:
        return None
    return Window(0, int(number), unit)


def _between(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
