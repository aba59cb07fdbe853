"""What a row has to say: its columns as numbers and categories, and those of its other parents.

In: a table on a path. Out: `Value`s, expressions over the aliases of the path's FROM. Keys are no values. A number or
truth value is a double, a text its length and, where its words are read, its beginning, a category its text. Time rule:
a parent's attribute counts if the parent was known when the row was; a snapshot (SCD2) parent gives the version valid
then. Rows without a time cannot tell, so the attributes of a parent with one are left out for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.conditions import Leaf, compile_condition
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.paths import Path, known_time
from dbt_rfm.plan.row_times import exists_at, time_of
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.task import BoundColumn, BoundCondition, leaves
from dbt_rfm.schema.fixed import EVER, NEVER
from dbt_rfm.schema.types import Column, Link, SemanticType, Table
from dbt_rfm.snapshot import OF_VALUE

NUMERICAL, CATEGORICAL = "numerical", "categorical"
TEXT = "text"  # its beginning, for its words: only where a plan asks for it
FLAG = "flag"  # 1 where a category or code has a certain value, else null: told is how many rows have it
MAX_NUMERICAL, MAX_CATEGORICAL = 24, 12  # of one table: a wider one costs more than its last columns tell
MAX_FLAGS, MAX_FLAGS_OF_PARENTS = 24, 16  # values of categories and codes, of one table and of all its other parents
MAX_FIXED = 3  # moments of one table that are read ahead
TEXT_LENGTH = 400  # characters whose words are read
_SMALLEST, _LARGEST = "1e-100", "1e100"  # of a number that is told
_OPAQUE = ("STRUCT", "MAP", "BLOB", "BIT", "UNION", "VARIANT", "OBJECT", "ARRAY", "JSON", "INTERVAL", "TIME")


@dataclass(frozen=True)
class Value:
    label: str  # the column; of a parent: parent.column
    kind: str  # NUMERICAL | CATEGORICAL | FLAG | TEXT
    expression: exp.Expression
    detail: bool = True  # False: less is told (attributes of other parents): means and the newest value only


@dataclass(frozen=True)
class Derived:
    """A condition on single rows of `table`, read as one more 0/1 column: what the target asks about."""

    table: str
    label: str
    condition: BoundCondition

    def columns(self) -> set[tuple[str, str]]:
        return {(leaf.table.name, leaf.column.name) for leaf in leaves(self.condition) if isinstance(leaf, BoundColumn)}

    def expression(self, alias: str) -> exp.Expression:
        return sql.zero_or_one(compile_condition(self.condition, lambda leaf: _row_column(leaf, alias)))


@dataclass(frozen=True)
class Scope:
    """Which columns may be looked at, and how closely.

    `hidden` columns (table, column) are never read. `delayed` ones are known some time after their row (`delays.py`);
    they are read by blocks of their own. `brief`: a quick answer, for which less is told. `texts`: the columns whose
    words are read (`texts.py`). `ahead`: fixed moments are read before they come; forecasts read plans in their own way
    (`ahead.py`).
    """

    graph: Graph
    hidden: frozenset[tuple[str, str]] = frozenset()
    delayed: Mapping[tuple[str, str], Delay] = field(default_factory=dict)
    derived: tuple[Derived, ...] = ()
    brief: bool = False
    texts: frozenset[tuple[str, str]] = frozenset()
    ahead: bool = True

    def columns(self, table: Table) -> list[Column]:
        """Columns with something to say: no keys but foreign ones that are categories (a country's code), no times of
        the row itself, nothing out of sight or of hindsight."""
        unsaid = {*table.primary_key, table.time_column, table.valid_from, table.valid_to}
        unsaid |= {part for column in table.columns for part in column.made_of}
        foreign = {link.child_column for link in self.graph.schema.parents(table.name)}
        unsaid |= {name for name in foreign if table.column(name).semantic_type is not SemanticType.CATEGORICAL}
        unsaid |= {link.parent_column for link in self.graph.schema.children(table.name)}
        said = [c for c in table.columns if c.name not in unsaid and not c.hindsight and not _opaque(c)]
        return [c for c in said if self.sees(table.name, c.name)]

    def sees(self, table: str, column: str) -> bool:
        return (table, column) not in self.hidden and (table, column) not in self.delayed

    def derived_of(self, table: Table) -> list[Derived]:
        told = [d for d in self.derived if d.table == table.name]
        return [d for d in told if all(self.sees(*c) and not table.column(c[1]).hindsight for c in d.columns())]


def values_of(scope: Scope, table: Table, alias: str) -> list[Value]:
    """Conditions of the target, then the table's columns in order and spans between its moments, up to the limits.

    A quick answer is told no spans of many rows: each is one more running sum.
    """
    derived = [Value(d.label, NUMERICAL, d.expression(alias)) for d in scope.derived_of(table)]
    plain = [v for column in scope.columns(table) for v in column_value(column, alias)]
    spans = () if scope.brief else spans_of(scope, table, alias)
    return derived + capped([*plain, *spans])


def fixed_moments(scope: Scope, table: Table) -> list[Column]:
    """Moments that every row of the table tells from its own time on, wherever they lie."""
    return [c for c in scope.columns(table) if c.fixed][:MAX_FIXED] if scope.ahead else []


def moment_ahead(table: Table, column: Column, alias: str) -> exp.Expression:
    """A fixed moment; none where it stands for never."""
    moment = time_of(table, column.name, alias)
    return sql.when(comes(moment), moment.copy())


def comes(moment: exp.Expression) -> exp.Expression:
    """That a moment is given and does not stand for never."""
    return exp.Between(this=moment, low=sql.timestamp(EVER), high=sql.timestamp(NEVER))


def spans_of(scope: Scope, table: Table, alias: str, *, since_row: bool = True) -> Iterator[Value]:
    """Days from one fixed moment of a row to the next: how long before the stay it was booked, how long that is.

    With `since_row` also from the row's own time.
    """
    fixed = fixed_moments(scope, table)
    if since_row and table.own_time is not None:
        since = time_of(table, table.own_time, alias)
        for column in fixed:
            days = sql.days_between(since.copy(), moment_ahead(table, column, alias))
            yield Value(f"{column.name}.after", NUMERICAL, days)
    for one, other in combinations(fixed, 2):
        days = sql.days_between(moment_ahead(table, one, alias), moment_ahead(table, other, alias))
        yield Value(f"{other.name}.after.{one.name}", NUMERICAL, days)


def flags_of(scope: Scope, table: Table, alias: str, *, all_listed: bool = False) -> list[Value]:
    """Whether a column of the table has each of its frequent values; with `all_listed` only if it has no others.

    At most MAX_FLAGS: where there are more, the most frequent ones of each column.
    """
    told = [c for c in scope.columns(table) if c.all_values or not all_listed]
    flags = [(place, flag) for column in told for place, flag in enumerate(flags_of_column(column, alias))]
    kept = sorted(range(len(flags)), key=lambda i: flags[i][0])[:MAX_FLAGS]
    return [flags[i][1] for i in sorted(kept)]


def flags_of_column(column: Column, alias: str) -> Iterator[Value]:
    for value in column.values:
        same = exp.EQ(this=sql.as_text(sql.column(column.name, alias)), expression=exp.Literal.string(value))
        one = exp.Case(ifs=[exp.If(this=same, true=exp.Literal.number(1))])
        yield Value(f"{column.name}{OF_VALUE}{value}", FLAG, one)


def texts_of(scope: Scope, table: Table, alias: str) -> Iterator[Value]:
    """The beginnings of the texts whose words are read."""
    for column in scope.columns(table):
        if (table.name, column.name) in scope.texts:
            beginning = exp.Left(this=sql.as_text(sql.column(column.name, alias)), expression=sql.literal(TEXT_LENGTH))
            yield Value(column.name, TEXT, beginning)


def delayed_values(scope: Scope, table: Table, alias: str) -> Iterator[tuple[Delay, Value]]:
    """Columns of the table that are known only some time after their row, with what says when."""
    for (owner, name), delay in scope.delayed.items():
        if owner == table.name:
            for value in column_value(table.column(name), alias):
                yield delay, value


def too_wide(scope: Scope, table: Table) -> str:
    """A sentence for the reader if not all columns of the table are used, else ''."""
    plain = [v for column in scope.columns(table) for v in column_value(column, "r0")]
    left = len(plain) - len(capped(plain))
    return f"table {table.name}: {left} of {len(plain)} columns are not summarised, it is too wide" if left else ""


def capped(values: list[Value]) -> list[Value]:
    """The first MAX_NUMERICAL numbers and the first MAX_CATEGORICAL categories, in the order given."""
    room = {NUMERICAL: MAX_NUMERICAL, CATEGORICAL: MAX_CATEGORICAL}
    kept = []
    for value in values:
        room[value.kind] -= 1
        if room[value.kind] >= 0:
            kept.append(value)
    return kept


def column_value(column: Column, alias: str) -> Iterator[Value]:
    """The column as a value; a timestamp is none here, it needs a moment to be compared with."""
    expression = sql.column(column.name, alias)
    kind = column.semantic_type
    if kind == SemanticType.NUMERICAL:
        yield Value(column.name, NUMERICAL, _number(column, expression))
    elif kind == SemanticType.BOOLEAN:
        is_boolean = column.data_type.upper().startswith("BOOL")
        number = sql.zero_or_one(expression) if is_boolean else _number(column, expression)
        yield Value(column.name, NUMERICAL, number)
    elif kind == SemanticType.TEXT:
        length = sql.as_double(exp.Length(this=sql.as_text(expression)))
        yield Value(f"{column.name}.length", NUMERICAL, length)
    elif kind in (SemanticType.CATEGORICAL, SemanticType.ID):
        yield Value(column.name, CATEGORICAL, sql.as_text(expression))


def parent_values(
    scope: Scope, path: Path, query: exp.Select, *, skip: Link, hops: int = 2, flags: bool = False
) -> tuple[exp.Select, list[Value]]:
    """`query` (a FROM along `path`) joined with the other parents of its rows, and their attributes as values.

    With `flags` also the frequent values of the categories of those they point at, but for what the path leads to.
    """
    at = known_time(scope.graph, path)
    found: list[Value] = []
    frequent: list[Value] = []
    todo = [(link, path.alias(0), "", hops) for link in scope.graph.schema.parents(path.table.name) if link != skip]
    for i, (link, alias, prefix, left) in enumerate(todo):
        table, parent = scope.graph.schema.table(link.parent), f"p{i}"
        conditions = [sql.linked(link, alias, parent)]
        if at is not None:
            conditions += exists_at(table, parent, at)
        elif table.time_column or table.valid_from or table.valid_to:
            continue  # rows without a time cannot say whether this parent was there yet
        named = f"{prefix}{link.parent}."
        attributes = [replace(v, label=named + v.label, detail=False) for v in values_of(scope, table, parent)]
        further = scope.graph.schema.parents(table.name) if left > 1 else ()
        todo += [(up, parent, named, left - 1) for up in further if up.parent != path.table.name]
        if attributes or further:
            sql.join(query, scope.graph.read(table, parent), sql.every(conditions), side="LEFT")
            found += attributes
            if flags and alias == path.alias(0) and link.parent != path.links[-1].parent:
                values = flags_of(scope, table, parent, all_listed=True)
                frequent += [replace(v, label=named + v.label, detail=False) for v in values]
    return query, capped(found) + frequent[:MAX_FLAGS_OF_PARENTS]


def _number(column: Column, expression: exp.Expression) -> exp.Expression:
    kind = column.data_type.upper()
    if kind.startswith(("VARCHAR", "TEXT", "CHAR", "STRING")):
        return _that_can_be_squared(exp.TryCast(this=expression, to=exp.DataType.build("double")))
    if kind.startswith(("DOUBLE", "FLOAT", "REAL")):
        return _that_can_be_squared(sql.as_double(expression))
    return sql.as_double(expression)


def _that_can_be_squared(number: exp.Expression) -> exp.Expression:
    """Missing where it is NaN, infinite or huge, which would spoil every sum it enters; 0 where it is next to nothing.

    Of the squares of both Postgres makes an error that ends the whole plan.
    """
    size = exp.Abs(this=number.copy())
    tiny = exp.LT(this=size, expression=exp.Literal.number(_SMALLEST))
    told = exp.LTE(this=size.copy(), expression=exp.Literal.number(_LARGEST))
    none = sql.as_double(exp.Literal.number(0))
    return exp.Case(ifs=[exp.If(this=tiny, true=none), exp.If(this=told, true=number)])


def _row_column(leaf: Leaf, alias: str) -> exp.Expression:
    assert isinstance(leaf, BoundColumn), f"a condition on single rows holds no aggregation: {leaf}"
    return sql.column(leaf.column.name, alias)


def _opaque(column: Column) -> bool:
    kind = column.data_type.upper()
    return kind.endswith("]") or (kind.startswith(_OPAQUE) and not kind.startswith("TIMESTAMP"))
