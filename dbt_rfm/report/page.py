"""The page: values in words and places, put into the template.

In: predictions as `gather.py` has them, the moment of the page (UTC). Out: HTML that needs nothing besides itself. All
that comes from a project (names, queries, values) is escaped by the template.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dbt_rfm.evaluate.scores import LOWER_IS_BETTER, is_better
from dbt_rfm.figures import short
from dbt_rfm.report.drawings import Band, Bar, Trend, band, bars, trend
from dbt_rfm.report.gather import Meaning, Prediction, Row, Strongest
from dbt_rfm.report.selects import BARS, SLICES
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions.registry import HELD, RETIRED, SERVING

_TEMPLATE = "template.html.j2"
_MODEL = ""  # the baseline of the model's own figures
_STRONGEST = {
    TaskKind.BINARY: "The ten highest probabilities",
    TaskKind.MULTICLASS: "The ten surest",
    TaskKind.REGRESSION: "The ten largest",
    TaskKind.LINK: "The ten likeliest first items",
    TaskKind.FORECAST: "The ten largest",
}
_OF_A_FORECAST = (
    "All together, window by window. The band adds up all p10 and all p90: as if all came low, or high, at once."
)
#: What a figure is, by its name without @k.
_MEANS = {
    "auroc": "how often, of two, the one that came true had the higher probability; 0.5 is chance",
    "ap": "how many of those put first came true",
    "logloss": "how far the probabilities were from what came true",
    "ece": "how far a probability is from how often such came true",
    "accuracy": "share that was right",
    "mae": "mean error, either way",
    "rmse": "error in which large ones weigh more",
    "spearman": "how well the order was right; 1 is wholly, 0 not at all",
    "wape": "sum of the errors as a share of the whole",
    "total_wape": "wape of the sum of all windows",
    "pinball": "error of the range and its middle",
    "coverage": "share that fell between p10 and p90; 0.8 is right",
    "map@": "how far up the list what came true stood",
    "ndcg@": "how far up the list what came true stood, milder",
    "recall@": "share of what came true that the list had",
    "coverage@": "share of all items that are in any list",
}


@dataclass(frozen=True)
class Figure:
    name: str
    means: str
    decides: bool
    cells: tuple[tuple[str, bool], ...]  # of the model and of each baseline; whether it is the best


@dataclass(frozen=True)
class View:
    """A prediction as the template shows it."""

    name: str
    version: Row
    good: bool | None  # whether it beat its baselines; None: nobody tried
    verdict: str
    notes: tuple[str, ...]
    words: Mapping[str, str]
    query: str
    age: str
    baselines: tuple[str, ...]
    figures: tuple[Figure, ...]
    history: Trend | None
    others: tuple[Row, ...]
    about_spread: str
    bars: tuple[Bar, ...]
    forecast: Band | None
    strongest: Strongest | None
    strongest_title: str
    largest_effect: float


def page(predictions: Sequence[Prediction], *, project: str, now: datetime) -> str:
    """`now`: without a zone, UTC."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = short
    template = environment.get_template(_TEMPLATE)
    return template.render(views=[view(p, now) for p in predictions], project=project, now=now)


def view(prediction: Prediction, now: datetime) -> View:
    published, version = prediction.published, prediction.published.version
    kind = TaskKind(version["kind"])
    baselines, figures = _figures(prediction.figures, version["backtest_metric"])
    about_spread, drawn = _spread(kind, prediction.spread)
    reasons = prediction.strongest.reasons if prediction.strongest is not None else ()
    return View(
        name=published.name,
        version=version,
        good=version["beats_baseline"],
        verdict=_verdict(version, prediction.figures),
        notes=tuple(_notes(prediction, now)),
        words=_words(prediction.meaning),
        query=inspect.cleandoc(version["query"]),
        age=_ago(now - version["anchor_time"]),
        baselines=baselines,
        figures=figures,
        history=_history(published.versions, version),
        others=tuple(v for v in published.versions if v is not version),
        about_spread=about_spread,
        bars=drawn if isinstance(drawn, tuple) else (),
        forecast=drawn if isinstance(drawn, Band) else None,
        strongest=prediction.strongest,
        strongest_title=_STRONGEST[kind],
        largest_effect=max((abs(r["effect"]) for said in reasons for r in said), default=0.0) or 1.0,
    )


def _words(meaning: Meaning) -> Mapping[str, str]:
    """No warning where there are none: labels and aliases that a dbt model gives its query are not known here."""
    if not meaning.problem:
        return meaning.words
    return {"Predicts": f"as its query says, which could not be put into words: {meaning.problem}"}


def _verdict(version: Row, figures: Sequence[Row]) -> str:
    if version["beats_baseline"] is None:
        return "Nobody knows how good it is: it was not tested on a past window."
    metric, own, best = version["backtest_metric"], short(version["backtest_value"]), short(version["baseline_value"])
    name = _best_baseline(figures, metric)
    better = "lower" if metric in LOWER_IS_BETTER else "higher"
    if version["beats_baseline"]:
        said = "Better than every baseline on the newest closed window:"
    else:
        said = "Do not rely on it: on the newest closed window it was no better than what needs no model."
    return f"{said} {metric} {own}, {name} {best} ({better} is better)."


def _best_baseline(figures: Sequence[Row], metric: str) -> str:
    rivals = [row for row in figures if row["metric"] == metric and row["baseline"] != _MODEL]
    if not rivals:
        return "the best baseline"
    pick = min if metric in LOWER_IS_BETTER else max
    return str(pick(rivals, key=lambda row: row["value"])["baseline"])


def _notes(prediction: Prediction, now: datetime) -> list[str]:
    """What a reader has to know before all figures, the gravest first."""
    version, versions = prediction.published.version, prediction.published.versions
    notes = [prediction.problem] if prediction.problem else []
    newer = [v for v in versions if v["version"] > version["version"]]
    notes += _held([v for v in newer if v["status"] == HELD])
    if version["status"] == SERVING and any(v["status"] == RETIRED for v in newer):
        notes.append(f"Version {version['version']} is served again, after a rollback from a newer one.")
    if not version["num_rows"]:
        notes.append("It has no rows: as of its moment there was nobody whom the query asks for.")
    lasts = prediction.meaning.lasts
    if lasts is not None and version["anchor_time"] + lasts <= now:
        ended = version["anchor_time"] + lasts
        notes.append(f"What it predicts is over: its window ended on {ended:%Y-%m-%d}. Build it again.")
    return notes


def _held(held: Sequence[Row]) -> list[str]:
    """`held`: newer than what is served, the newest first."""
    if not held:
        return []
    newest, more = held[0], f", and so were {len(held) - 1} before it" if len(held) > 1 else ""
    metric, own, best = newest["backtest_metric"], short(newest["backtest_value"]), short(newest["baseline_value"])
    return [
        f"Version {newest['version']} of {newest['created_at']:%Y-%m-%d} was held back, as it did not beat its "
        f"baselines ({metric} {own}, the best baseline {best}){more}: what is shown is older."
    ]


def _figures(rows: Sequence[Row], primary: str | None) -> tuple[tuple[str, ...], tuple[Figure, ...]]:
    """Names of the baselines, and a line per figure, the one that decides first."""
    values = {(row["metric"], row["baseline"]): row["value"] for row in rows}
    baselines = tuple(dict.fromkeys(row["baseline"] for row in rows if row["baseline"] != _MODEL))
    metrics = dict.fromkeys(row["metric"] for row in rows)
    ordered = sorted(metrics, key=lambda metric: metric != primary)
    return baselines, tuple(
        _figure(m, m == primary, [values.get((m, b)) for b in (_MODEL, *baselines)]) for m in ordered
    )


def _figure(metric: str, decides: bool, values: Sequence[float | None]) -> Figure:
    known = [value for value in values if value is not None]
    judged = not metric.startswith("coverage")  # more of it is not better
    cells = [
        (short(value), judged and value is not None and not any(is_better(metric, other, value) for other in known))
        for value in values
    ]
    base, at, _ = metric.partition("@")
    return Figure(metric, _MEANS.get(base + at, ""), decides, tuple(cells))


def _history(versions: Sequence[Row], shown: Row) -> Trend | None:
    """The figure that decides and its baseline, over the versions of the same query; None where there is but one."""
    same = [
        v
        for v in reversed(versions)
        if v["backtest_value"] is not None
        and v["backtest_metric"] == shown["backtest_metric"]
        and v["query"].split() == shown["query"].split()
    ]
    return trend(same) if len(same) > 1 else None


def _spread(kind: TaskKind, rows: Sequence[Row]) -> tuple[str, tuple[Bar, ...] | Band]:
    """What is predicted, in one sentence and drawn."""
    if not rows:
        return "", ()
    n = sum(int(row["n"]) for row in rows)
    if kind == TaskKind.BINARY:
        yes, expected = (sum(float(row[name]) for row in rows) for name in ("yes", "total"))
        said = f"{n:,} probabilities, {short(expected / n)} on average; {yes:,.0f} are predicted true."
        counted = _by_bar(rows)
        return said, bars([(f"{bar * 10} to {bar * 10 + 10} %", counted.get(bar, 0)) for bar in range(SLICES)])
    if kind == TaskKind.REGRESSION:
        mean, low, highest = (short(float(rows[0][name])) for name in ("mean", "low", "highest"))
        return f"{n:,} numbers, {mean} on average, from {low} to {highest}.", bars(_slices(rows))
    if kind == TaskKind.FORECAST:
        return _OF_A_FORECAST, band(rows)
    everybody = int(rows[0]["everybody"])
    kinds = int(rows[0]["kinds"])
    frequent = [(_label(row), int(row["n"])) for row in rows]
    among = f"the {len(rows)} most frequent of {kinds:,}" if kinds > len(rows) else f"{kinds:,} in all"
    if kind == TaskKind.LINK:
        return f"In how many of {everybody:,} lists an item is: {among}.", bars(frequent, everybody)
    return f"For how many of {everybody:,} a class is the likeliest: {among}.", bars(frequent, everybody)


def _label(row: Row) -> str:
    return " · ".join(short(value) for name, value in row.items() if name.startswith("key"))


def _by_bar(rows: Sequence[Row]) -> dict[int, int]:
    return {int(row["bar"]): int(row["n"]) for row in rows}


def _slices(rows: Sequence[Row]) -> list[tuple[str, int]]:
    low, high, highest = (float(rows[0][name]) for name in ("low", "high", "highest"))
    wide = (high - low) / BARS
    counted = _by_bar(rows)
    if not wide:
        return [(f"{short(low)} to {short(highest)}" if highest > low else short(low), sum(counted.values()))]
    named = []
    for bar in range(BARS):
        until = highest if bar == BARS - 1 else low + (bar + 1) * wide
        named.append((f"{short(low + bar * wide)} to {short(until)}", counted.get(bar, 0)))
    return named


def _ago(passed: timedelta) -> str:
    hours = passed.total_seconds() / 3600
    if hours < 0:
        return "ahead of this page"
    return f"{hours:.0f} hours before this page" if hours < 48 else f"{passed.days:,} days before this page"
