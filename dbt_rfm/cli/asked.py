"""What is asked of an open project, and the answer as plain values: for the commands with --json, and for agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dbt_rfm.cli.reasons import Explained, explained, reasons_as_json

if TYPE_CHECKING:
    from dbt_rfm.answer.answered import Answer
    from dbt_rfm.cli.project import OpenedProject
    from dbt_rfm.evaluate.backtest import Backtest
    from dbt_rfm.model.interface import Progress
    from dbt_rfm.pipeline import Understood
    from dbt_rfm.survey import Survey

#: Predictions that are shown, and explained, unless somebody says how many.
SHOWN_ROWS = 20


@dataclass(frozen=True)
class Predicted:
    result: Answer
    reasons: list[Explained] | None  # None: nobody asked why

    def as_json(self, limit: int | None) -> dict[str, Any]:
        result = self.result
        rows = result.predictions if limit is None else result.predictions.slice(0, limit)
        said = {
            "query": result.task.text,
            "kind": result.task.kind,
            "anchor_time": result.snapshot.anchor,
            "model": result.provenance.version,
            "predictions": rows.to_pylist(),
            "seconds": result.seconds,
            "notes": result.notes,
        }
        return said if self.reasons is None else said | reasons_as_json(self.reasons)

    def missing(self, entities: Sequence[str]) -> str:
        """Which entities asked for have no prediction, and why that can be; '' if all have one."""
        examples = self.result.snapshot.examples.select(["split", "entity"]).to_pylist() if entities else []
        answered = {str(row["entity"]) for row in examples if row["split"] == "query"}
        lacking = [value for value in entities if value not in answered]
        if not lacking:
            return ""
        why = "it is not in the table at that time" + (" or fails the query's WHERE" if self.result.task.where else "")
        return f"no prediction for {self.result.task.entity.table.name} {', '.join(lacking)}: {why}"


def predicted(
    opened: OpenedProject,
    query: str,
    *,
    entities: Sequence[str] = (),
    at: str | None = None,
    label_delay: str | None = None,
    thorough: bool = False,
    why: bool = False,
    limit: int | None = None,
    progress: Progress = lambda stage: None,
) -> Predicted:
    """Named entities are answered quickly unless `thorough`; `why` explains as many as `limit`, or SHOWN_ROWS."""
    from dbt_rfm.pipeline import answer

    job = opened.job(query, options=_options(label_delay, backtest=False))
    quick = bool(entities) and not thorough
    result = answer(job, opened.warehouse, entity_ids=entities, at=at, quick=quick, progress=progress)
    return Predicted(result, explained(result, limit or SHOWN_ROWS, progress=progress) if why else None)


@dataclass(frozen=True)
class Evaluated:
    result: Answer
    test: Backtest

    def as_json(self) -> dict[str, Any]:
        result, test = self.result, self.test
        return {
            "query": result.task.text,
            "kind": result.task.kind,
            "anchor_time": result.snapshot.anchor,
            "rows": test.rows,
            "context": test.context,
            "primary": test.primary,
            "beats": test.beats,
            "metrics": test.metrics,
            "baselines": test.baselines,
            "seconds": result.seconds,
            "notes": result.notes,
        }


def evaluated(
    opened: OpenedProject,
    query: str,
    *,
    at: str | None = None,
    label_delay: str | None = None,
    progress: Progress = lambda stage: None,
) -> Evaluated:
    """Raises DataError where there is no closed window."""
    from dbt_rfm.errors import DataError
    from dbt_rfm.pipeline import answer
    from dbt_rfm.pql.parser import without_command

    job = opened.job(without_command(query, "EVALUATE"), options=_options(label_delay, backtest=True))
    result = answer(job, opened.warehouse, at=at, progress=progress)
    if result.backtest is None:
        raise DataError("there is no closed window to backtest on", hint="; ".join(result.snapshot.notes))
    return Evaluated(result, result.backtest)


@dataclass(frozen=True)
class Checked:
    known: Understood
    found: Survey
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        from dbt_rfm.pql.describe import describe

        task = self.known.task
        head = {"query": task.text, "kind": task.kind, "means": describe(task)}
        return {**head, **asdict(self.found), "notes": self.notes}


def checked(
    opened: OpenedProject,
    query: str,
    *,
    at: str | None = None,
    label_delay: str | None = None,
    progress: Progress = lambda stage: None,
) -> Checked:
    from dbt_rfm.pipeline import understand
    from dbt_rfm.pql.parser import without_command
    from dbt_rfm.survey import survey

    job = opened.job(without_command(query, "EXPLAIN"), options=_options(label_delay))
    known = understand(job, opened.warehouse, at=at)
    progress("counting labels")
    found = survey(known.task, known.schema, opened.warehouse, known.options)
    return Checked(known, found, (*known.schema.notes, *found.notes, *opened.for_a_model(job)))


def published(opened: OpenedProject, model: str | None = None) -> list[dict[str, Any]]:
    """Rows of rfm_versions, of one prediction or of all, the newest first. Raises DataError where there are none."""
    from dbt_rfm.errors import DataError, did_you_mean
    from dbt_rfm.versions.registry import list_versions

    found = [row for home in opened.homes() for row in list_versions(opened.warehouse, home).to_pylist()]
    if not found:
        raise DataError("no version was published yet", hint="`dbt build` publishes the first.")
    named = {model, opened.home(model).identifier} if model else set()
    chosen = [row for row in found if not named or row["model_name"] in named]
    if not chosen:
        hint = did_you_mean(str(model), {row["model_name"] for row in found})
        raise DataError(f"no version of {model} was ever published", hint=hint)
    return chosen


def _options(label_delay: str | None, **more: object) -> dict[str, object]:
    return {**more, **({"label_delay": label_delay} if label_delay is not None else {})}
