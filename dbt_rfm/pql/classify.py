"""CLASSIFY and CLASSIFY TOP k: of a target that is a class, the likeliest ones.

In: the query and the kind of its target. Out: how many classes of each entity are shown, None for all. A target that is
a class is predicted as one without the word too; the word says what is meant, and refuses every other target.
"""

from __future__ import annotations

from dbt_rfm.pql import ast
from dbt_rfm.pql.scope import Scope
from dbt_rfm.task_kind import TaskKind


def classes_shown(scope: Scope, query: ast.Query, kind: TaskKind) -> int | None:
    """Raises QueryError for CLASSIFY behind a target that is no class."""
    problem = query.problem
    if problem is None or problem.kind != "CLASSIFY":
        return None
    if kind != TaskKind.MULTICLASS:
        hint = (
            "Leave CLASSIFY out." if kind == TaskKind.BINARY else "Compare the number: COUNT(…) > 3 is a class of two."
        )
        raise scope.error(f"CLASSIFY needs a target that is one of several classes, this is {kind}", problem.span, hint)
    return problem.number
