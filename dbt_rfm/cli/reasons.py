"""Reasons of predictions as `dbt-rfm predict --explain` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbt_rfm.answer.answered import Answer
    from dbt_rfm.model.interface import Progress
    from dbt_rfm.model.reasons import Explanation

Explained = tuple[Any, "Explanation"]  # an entity and what is said of it
_ON_AVERAGE = 8  # groups that are named for all answers together
_COLUMNS = ("effect", "of", "such as", "which is", "usually")


def explained(result: Answer, most: int, *, progress: Progress) -> list[Explained]:
    """Of the first so many predictions of a query. Raises ModelError where the kind of answer has no reasons."""
    from dbt_rfm.model.examples import split_rows
    from dbt_rfm.model.reasons import explain
    from dbt_rfm.snapshot import QUERY

    asked = split_rows(result.snapshot, QUERY)[:most]
    if result.learnt is None or not len(asked):
        return []
    progress("looking for reasons")
    said = explain(result.snapshot, result.learnt, range(len(asked)), seed=result.options.seed)
    entities = result.snapshot.examples["entity"].take(asked).to_pylist()
    return list(zip(entities, said, strict=True))


def reasons_as_json(reasons: Sequence[Explained]) -> dict[str, Any]:
    """`reasons` of each entity, and `on_average`: what the answers rest on, the size of each group's effect."""
    from dbt_rfm.model.reasons import on_average

    each = [{"entity": entity, **asdict(said)} for entity, said in reasons]
    for told in each:
        del told["effects"]
    return {"reasons": each, "on_average": on_average([said for _, said in reasons])}


def show_reasons(reasons: Sequence[Explained], result: Answer) -> None:
    """A table that adds up: from the usual answer by the reasons to the answer. Below it what all of them rest on."""
    from dbt_rfm.cli.console import say, show_table
    from dbt_rfm.figures import short
    from dbt_rfm.model.reasons import on_average

    rows: list[list[Any]] = []
    for entity, said in reasons:
        named = f"the answer: {said.of_class}" if said.of_class is not None else "the answer"
        rows.append([entity, said.usual, "what is usually answered", "", "", ""])
        rows += [["", _signed(r.effect), r.about, r.feature, r.value, r.usual] for r in said.reasons]
        rows += [["", _signed(said.rest), "all others", "", "", ""], ["", said.answer, named, "", "", ""]]
    columns = [result.snapshot.entity, *_COLUMNS]
    if reasons:
        show_table("Why: what moves an answer away from the usual one", columns, rows, right=["effect"])
    if len(reasons) > 1:
        sizes = list(on_average([said for _, said in reasons]).items())[:_ON_AVERAGE]
        say(f"on average over these {len(reasons)}: {', '.join(f'{name} {short(size)}' for name, size in sizes)}")


def _signed(effect: float) -> str:
    from dbt_rfm.figures import short

    return f"{'+' if effect >= 0 else '-'}{short(abs(effect))}"
