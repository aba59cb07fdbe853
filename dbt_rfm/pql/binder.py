"""Names and types of a query resolved against a schema: `bind(parse(text), schema) -> Task`.

In: an `ast.Query`, the RelationalSchema, the label table where one replaces the target. Out: a Task that the plan can
compile as it is. Time rule, checked here: ASSUMING and at least one window of the target look forward (start >= 0),
other windows of the target and those of WHERE look back (end <= 0), so no filter that runs at prediction time sees the
future; ASSUMING reaches no further than the target, so an example whose target is closed has all it needs. What parses
but is not executed is refused by name.
"""

from __future__ import annotations

from dataclasses import replace

from dbt_rfm.errors import QueryError
from dbt_rfm.pql import ast
from dbt_rfm.pql.attributes import (
    are_events,
    check_attribute,
    check_attributes,
    check_unknown,
    hidden_columns,
    own_columns,
)
from dbt_rfm.pql.classify import classes_shown
from dbt_rfm.pql.conditions import Leaf, bind_comparison, bind_condition, bind_operand
from dbt_rfm.pql.forecast import timeframes_of
from dbt_rfm.pql.keys import bind_entity, named_key
from dbt_rfm.pql.operands import bind_aggregation
from dbt_rfm.pql.paths import is_below, parent_path
from dbt_rfm.pql.ranking import LISTED, ranking_of
from dbt_rfm.pql.scope import Scope, joined, of_type
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundArithmetic,
    BoundColumn,
    BoundCondition,
    BoundLeaf,
    BoundTarget,
    Task,
    aggregations_of,
)
from dbt_rfm.pql.windows import Place, furthest, length, may_end_after
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.types import RelationalSchema, SemanticType, Table
from dbt_rfm.task_kind import TaskKind

_KIND_OF = {
    SemanticType.NUMERICAL: TaskKind.REGRESSION,
    SemanticType.BOOLEAN: TaskKind.BINARY,
    SemanticType.CATEGORICAL: TaskKind.MULTICLASS,
    SemanticType.TEXT: TaskKind.MULTICLASS,
}
_INSTEAD_OF = {"EVALUATE": "evaluate", "EXPLAIN": "check"}
_OF_LABEL_TABLE = ("entity", "anchor_time", "known_at")


def bind(query: ast.Query, schema: RelationalSchema, *, labels: Table | None = None, delay_given: bool = False) -> Task:
    """The task. `labels` is the label table that the target's `labels.<column>` means. Raises QueryError.

    `delay_given`: the options say when an attribute becomes known, so rows with a time are events.
    """
    scope = Scope(query.text, schema, labels)
    task = _Binder(query, scope).task()
    of_attributes = bool(hidden_columns(task))
    of_events = of_attributes and are_events(schema, task.entity.table, delay_given=delay_given)
    if of_attributes and not of_events:
        check_unknown(scope, task.target)
    return replace(task, of_events=of_events)


class _Binder:
    def __init__(self, query: ast.Query, scope: Scope) -> None:
        self.query, self.scope = query, scope

    def task(self) -> Task:
        self._refuse_command()
        query, entity = self.query, bind_entity(self.scope, self.query)
        target, kind = self._target(entity)
        horizon = None if own_columns(target, entity.table) else self._horizon(target)
        where = self._where(entity.table)
        check_attributes(self.scope, target, entity.table, where)
        timeframes = timeframes_of(self.scope, query, target, kind)
        ranking = ranking_of(self.scope, query, target)
        return Task(
            text=query.text,
            kind=TaskKind.LINK if ranking is not None else kind if timeframes is None else TaskKind.FORECAST,
            entity=entity,
            target=target,
            horizon=horizon,
            where=where,
            assuming=self._assuming(entity.table, horizon),
            entity_ids=self._entity_ids(entity),
            timeframes=timeframes,
            ranking=ranking,
            classes_shown=classes_shown(self.scope, query, kind),
        )

    def _refuse_command(self) -> None:
        query, error = self.query, self.scope.error
        if query.command is not None:
            hint = f"Leave it out here, and run dbt-rfm {_INSTEAD_OF[query.command]} with it or without."
            raise error(f"{query.command} belongs to the command line", query.command_span, hint)

    # --- the entity

    def _entity_ids(self, entity: BoundColumn) -> tuple[ast.Scalar, ...]:
        asked = self.query.entity_ids
        if asked is None:
            return ()
        bound = bind_comparison(self.scope, asked, entity)
        if bound.operator not in ("=", "IN") or bound.value is None:
            hint = f"Conditions go into WHERE: FOR EACH {entity.table.name}.{entity.column.name} WHERE …"
            raise self.scope.error(f"entities are named by = or IN, got {asked.operator}", asked.span, hint)
        return bound.value if isinstance(bound.value, tuple) else (bound.value,)  # type: ignore[return-value]  # a literal

    # --- the target

    def _target(self, entity: BoundColumn) -> tuple[BoundTarget, TaskKind]:
        target, scope = self.query.target, self.scope
        if scope.labels is not None:
            return self._label(target, scope.labels, entity)
        if isinstance(target, ast.Aggregation):
            bound = bind_aggregation(scope, target, entity.table, Place.TARGET)
            return bound, self._kind_of_aggregation(bound)
        if isinstance(target, ast.ColumnRef):
            attribute = self._attribute(target, entity)
            return attribute, self._kind_of_column(attribute)
        if isinstance(target, ast.Arithmetic | ast.Literal):
            number = bind_operand(scope, target, lambda leaf: self._leaf(leaf, entity.table, Place.TARGET))
            if not isinstance(number, BoundArithmetic):
                raise scope.error("expected an aggregation or a column to predict, got a number", target.span)
            return number, TaskKind.REGRESSION
        return self._condition(target, entity.table, Place.TARGET), TaskKind.BINARY

    def _label(self, target: ast.Target, labels: Table, entity: BoundColumn) -> tuple[BoundTarget, TaskKind]:
        scope = self.scope
        if not isinstance(target, ast.ColumnRef) or not scope.names_labels(target):
            hint = f"Write PREDICT {labels.name}.<its label column> FOR EACH …, or leave out labels=."
            raise scope.error("a label table is given, so the target is one of its columns", target.span, hint)
        column = scope.column(target, labels)
        if column.name.casefold() in (*_OF_LABEL_TABLE, entity.column.name.casefold()):
            raise scope.error(
                f"{labels.name}.{column.name} says whose label it is or when, it is no label", target.span
            )
        bound = BoundColumn(labels, column, target.span)
        return bound, self._kind_of_column(bound)

    def _attribute(self, ref: ast.ColumnRef, entity: BoundColumn) -> BoundColumn:
        scope, table = self.scope, self.scope.table(ref)
        column = scope.column(ref, table)
        name = f"{table.name}.{column.name}"
        if table is not entity.table:
            raise self._elsewhere(ref, name, table, entity.table, Place.TARGET)
        attribute = BoundColumn(table, column, ref.span)
        check_attribute(scope, attribute)
        return attribute

    def _kind_of_aggregation(self, aggregation: BoundAggregation) -> TaskKind:
        column, function = aggregation.column, aggregation.function
        if column is not None and (
            function in ("FIRST", "LAST") or (function in ("MIN", "MAX") and family(column.data_type) is Family.TIME)
        ):
            return self._kind_of_column(BoundColumn(aggregation.table, column, aggregation.span))
        return TaskKind.REGRESSION

    def _kind_of_column(self, bound: BoundColumn) -> TaskKind:
        kind = bound.column.semantic_type
        if any(link.child_column == bound.column.name for link in self.scope.schema.parents(bound.table.name)):
            return TaskKind.MULTICLASS  # which of the rows it points at, whatever the type of their key
        if kind not in _KIND_OF:
            name = f"{bound.table.name}.{bound.column.name}"
            allowed = joined((str(k) for k in _KIND_OF), "or")
            hint = "Is it a class or a number? Set meta.rfm.semantic_type on the column."
            if kind is SemanticType.TIMESTAMP:
                hint = "A time is no target, but a condition may compare it: … > '2024-06-30'."
            raise self.scope.error(f"{name} is {of_type(kind)}, expected a {allowed} column", bound.span, hint)
        return _KIND_OF[kind]

    def _horizon(self, target: BoundTarget) -> ast.Window | None:
        if isinstance(target, BoundColumn):
            return None
        windows = [a.window for a in aggregations_of(target)]
        if not windows:
            hint = "Predict the column itself, or a label table."
            raise self.scope.error("a target of columns alone is not executed", self.query.target.span, hint)
        ahead = furthest(self.scope, [w for w in windows if w.end > 0] or windows)
        if ahead.end <= 0:
            problem = "nothing in the target looks forward: what it asks for is known already"
            hint = "Give an aggregation a window that ends after 0, such as 0, 30, days."
            raise self.scope.error(problem, self.query.target.span, hint)
        return ahead

    # --- conditions

    def _where(self, entity: Table) -> BoundCondition | None:
        return None if self.query.where is None else self._condition(self.query.where, entity, Place.WHERE)

    def _condition(self, condition: ast.Condition, entity: Table, place: Place) -> BoundCondition:
        return bind_condition(self.scope, condition, lambda leaf: self._leaf(leaf, entity, place))

    def _leaf(self, left: Leaf, entity: Table, place: Place) -> BoundLeaf:
        """An aggregation, a column of the entity, or one of its parents."""
        scope = self.scope
        if isinstance(left, ast.Aggregation):
            if left.function == LISTED:
                hint = "Count instead: COUNT(t.* WHERE t.x = …, …) > 0."
                raise scope.error(f"{LISTED} is ranked, not compared: it stands alone after PREDICT", left.span, hint)
            return bind_aggregation(scope, left, entity, place)
        if scope.names_labels(left):
            raise scope.error("a label table is not filtered by the query", left.span, "Filter it in its own model.")
        table = scope.table(left)
        column = scope.column(left, table)
        if table is not entity and not is_below(scope.schema, entity, table):
            raise self._elsewhere(left, f"{table.name}.{column.name}", table, entity, place)
        if place is Place.ASSUMING:
            raise scope.error("ASSUMING takes aggregations over the future only", left.span, "Columns go into WHERE.")
        up = parent_path(scope, entity, table, left, ()) if table is not entity else ()
        return BoundColumn(table, column, left.span, up)

    def _elsewhere(self, ref: ast.ColumnRef, name: str, table: Table, entity: Table, place: Place) -> QueryError:
        """The error for a column that is not the entity's own."""
        window = "-90, 0" if place is Place.WHERE else "0, 30"
        hint = f"Aggregate it: LAST({name}, {window}, days)."
        if is_below(self.scope.schema, entity, table):
            hint = f"A parent's column is asked of the parent: FOR EACH {named_key(table)}."
        elif not is_below(self.scope.schema, table, entity):
            hint = f"Executed: columns of {entity.name}, those of its parents, aggregations over rows linked to it."
        return self.scope.error(f"{name} is no column of the entity table {entity.name}", ref.span, hint)

    def _assuming(self, entity: Table, horizon: ast.Window | None) -> BoundCondition | None:
        if self.query.assuming is None:
            return None
        condition = self._condition(self.query.assuming, entity, Place.ASSUMING)
        for aggregation in aggregations_of(condition):
            window = aggregation.window
            if horizon is None:
                problem = "ASSUMING needs a target with a window: it says which past windows to learn from"
                raise self.scope.error(problem, window.span)
            if may_end_after(window, horizon):
                problem = f"ASSUMING looks {length(window)} ahead, the target only {length(horizon)}"
                raise self.scope.error(problem, window.span, "A closed target would not be enough to learn from.")
        return condition
