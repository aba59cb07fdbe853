"""The parser's raw tree as an `ast.Query`.

In: what `grammar.lark` yields. Out: typed nodes with spans. Words that the grammar leaves open are checked here: names
of aggregations, units, the form of windows, numbers and dates. A moment with a zone becomes UTC without one.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from lark import Token, Tree

from dbt_rfm.errors import QueryError, did_you_mean, nearest
from dbt_rfm.pql import ast
from dbt_rfm.pql.literals import MAX_DIGITS, read_moment

AGGREGATIONS = ("SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT_DISTINCT", "FIRST", "LAST", "LIST_DISTINCT")
# Of parentheses, NOTs and arithmetic signs in each other: far beyond what is written by hand, far below Python's stack.
MAX_DEPTH = 50

_SYNONYMS = {
    "MEAN": "AVG",
    "AVERAGE": "AVG",
    "MINIMUM": "MIN",
    "MAXIMUM": "MAX",
    "TOTAL": "SUM",
    "ARRAY_AGG": "LIST_DISTINCT",
}
_NOT_UNITS = {"year": "12, months", "quarter": "3, months", "fortnight": "14, days", "decade": "120, months"}
_OPERANDS = ("aggregation", "column", "number", "negative", "arithmetic")
_OPERATORS = {"<>": "!=", "IS IN": "IN", "IS NOT IN": "NOT IN"}


def query_of(tree: Tree[Token], text: str) -> ast.Query:
    """The whole query. Raises QueryError."""
    return _Builder(text).query(tree)


class _Builder:
    def __init__(self, text: str) -> None:
        self.text = text

    def query(self, tree: Tree[Token]) -> ast.Query:
        parts = [c for c in tree.children if isinstance(c, Tree)]
        by_rule = {str(part.data): part for part in parts}
        command = by_rule.get("command")
        of_entity = by_rule.get("entity") or by_rule["entity_is"]
        key = self._key(_subtree(of_entity, "key"))
        entity, entity_ids = (self._whole(key, of_entity), None) if key else self._entity(of_entity)
        return ast.Query(
            target=self._target(next(p for p in parts if p.data != "command")),
            entity=entity,
            entity_ids=entity_ids,
            key=key,
            where=self._clause(by_rule.get("where")),
            assuming=self._clause(by_rule.get("assuming")),
            problem=self._problem(parts),
            command=str(command.children[0]).upper() if command is not None else None,
            command_span=_span(command) if command is not None else ast.NOWHERE,
            text=self.text,
        )

    def _target(self, tree: Tree[Token]) -> ast.Target:
        return self._operand(tree, 0) if tree.data in _OPERANDS else self._condition(tree, 0)

    def _problem(self, parts: list[Tree[Token]]) -> ast.Problem | None:
        tree = next((p for p in parts if p.data in ("forecast", "rank", "classify")), None)
        if tree is None:
            return None
        number = next((self._integer(t) for t in _tokens(tree) if t.type == "INT"), None)
        if number is not None and number < 1:
            word = "FORECAST" if tree.data == "forecast" else "TOP"
            raise self._error(f"{word} {number}: expected a whole number from 1", tree)
        exclude_seen = any(part.data == "exclude_seen" for part in _trees(tree))
        return ast.Problem(str(tree.data).upper(), number, _span(tree), exclude_seen)

    def _key(self, tree: Tree[Token] | None) -> tuple[ast.ColumnRef, ...]:
        """The columns of a key that has several."""
        if tree is None:
            return ()
        table, *columns = (self._name(part) for part in _trees(tree))
        return tuple(
            ast.ColumnRef(table, name, _span(part)) for name, part in zip(columns, _trees(tree)[1:], strict=True)
        )

    def _whole(self, key: tuple[ast.ColumnRef, ...], tree: Tree[Token]) -> ast.ColumnRef:
        return ast.ColumnRef(key[0].table, ", ".join(part.column for part in key), _span(tree))

    def _entity(self, tree: Tree[Token]) -> tuple[ast.ColumnRef, ast.Comparison | None]:
        column = self._column(_subtree(tree, "column"))
        if tree.data == "entity":
            return column, None
        return column, ast.Comparison(column, _operator(tree), self._right(tree), _span(tree))

    # --- conditions

    def _clause(self, tree: Tree[Token] | None) -> ast.Condition | None:
        return None if tree is None else self._condition(_trees(tree)[0], 0)

    def _condition(self, tree: Tree[Token], depth: int) -> ast.Condition:
        self._check_depth(tree, depth, "the condition")
        if tree.data == "comparison":
            return ast.Comparison(self._operand(_trees(tree)[0], 0), _operator(tree), self._right(tree), _span(tree))
        operands = tuple(self._condition(part, depth + 1) for part in _trees(tree))
        if tree.data == "parenthesised":
            return operands[0]
        if tree.data == "not_":
            return ast.Not(operands[0], _span(tree))
        joined = ast.And if tree.data == "conjunction" else ast.Or
        return joined(operands, _span(tree))

    def _right(self, tree: Tree[Token]) -> ast.Literal | ast.Operand:
        value = _trees(tree)[-1]
        if value.data == "array":
            return ast.Literal(tuple(self._constant(c) for c in _trees(value)), _span(value))
        return ast.Literal(self._constant(value), _span(value)) if value.data == "constant" else self._operand(value, 0)

    # --- operands

    def _operand(self, tree: Tree[Token], depth: int) -> ast.Operand:
        self._check_depth(tree, depth, "the arithmetic")
        if tree.data == "column":
            return self._column(tree)
        if tree.data == "number":
            return ast.Literal(self._constant(tree), _span(tree))
        if tree.data == "negative":
            operand = self._operand(_trees(tree)[0], depth + 1)
            if isinstance(operand, ast.Literal):
                assert isinstance(operand.value, int | Decimal), "of literals only numbers are operands"
                return ast.Literal(-operand.value, _span(tree))
            return ast.Arithmetic("*", ast.Literal(-1, _span(tree)), operand, _span(tree))
        if tree.data == "arithmetic":
            left, right = (self._operand(part, depth + 1) for part in _trees(tree))
            return ast.Arithmetic(str(_tokens(tree)[0]), left, right, _span(tree))
        return self._aggregation(tree)

    def _aggregation(self, tree: Tree[Token]) -> ast.Aggregation:
        where, window = _subtree(tree, "where"), _subtree(tree, "window")
        return ast.Aggregation(
            function=self._function(_tokens(tree)[0]),
            column=self._column(_subtree(tree, "column")),
            where=self._clause(where),
            window=self._window(window) if window is not None else None,
            via=tuple(self._column(_trees(part)[0]) for part in _trees(tree) if part.data == "via"),
            span=_span(tree),
        )

    def _function(self, word: Token) -> str:
        name = word.upper()
        if name in AGGREGATIONS:
            return name
        hint = f"Write {_SYNONYMS[name]}." if name in _SYNONYMS else did_you_mean(name, AGGREGATIONS)
        raise self._error(f"{word} is no aggregation", word, hint=hint)

    def _window(self, tree: Tree[Token]) -> ast.Window:
        first, second = (_tokens(part)[0] for part in _trees(tree))
        word = next(iter(_tokens(tree)), None)
        if second.type == "INFINITY":
            raise self._error(f"a window must end: got {second}", second, hint="Only its start may be -INF.")
        start = None if first.type == "INFINITY" else self._bound(first)
        if first.type == "INFINITY" and "-" not in first:
            raise self._error(f"a window starts at a number or at -INF, got {first}", first)
        return ast.Window(start, self._bound(second), self._unit(word) if word is not None else "days", _span(tree))

    def _bound(self, token: Token) -> int:
        if token.type == "DECIMAL":
            raise self._error(
                f"a window has whole numbers, got {token}", token, hint="Take a smaller unit: 36, hours for 1.5, days."
            )
        return self._integer(token)

    def _unit(self, word: Token) -> str:
        name = word.lower()
        for unit in ast.UNITS:
            if name in (unit, unit[:-1]):
                return unit
        known = _NOT_UNITS.get(name.rstrip("s"))
        near = nearest(name, ast.UNITS, n=1)
        hint = f"Write {known}." if known else f"Did you mean {near[0]}?" if near else f"Units: {', '.join(ast.UNITS)}."
        raise self._error(f"{word} is no unit of time", word, hint=hint)

    def _column(self, tree: Tree[Token]) -> ast.ColumnRef:
        table, column = (self._name(part) for part in tree.children)
        return ast.ColumnRef(table, column, _span(tree))

    def _name(self, part: Token | Tree[Token]) -> str:
        token = part if isinstance(part, Token) else _tokens(part)[0]
        return _unquoted(str(token), "`") if token.type == "QUOTED" else str(token)

    # --- constants

    def _constant(self, tree: Tree[Token]) -> ast.Scalar:
        token = _tokens(tree)[0]
        if token.type in ("TRUE", "FALSE", "NULL"):
            return {"TRUE": True, "FALSE": False, "NULL": None}[token.type]
        if token.type == "STRING":
            return self._text(token)
        if token.type == "DATETIME":
            return self._moment(token)
        return self._integer(token) if token.type == "INT" else self._decimal(token)

    def _text(self, token: Token) -> str:
        if "\0" in token:
            raise self._error("a text may not hold a NUL character", token)
        return _unquoted(str(token), "'")

    def _moment(self, token: Token) -> datetime:
        moment = read_moment(str(token))
        if moment is None:
            raise self._error(f"{token} is no date", token, hint="Write 2024-06-30 or 2024-06-30 12:00:00.")
        return moment

    def _integer(self, token: Token) -> int:
        if len(token) > MAX_DIGITS:
            raise self._error(f"the number has more than {MAX_DIGITS} digits", token)
        return int(token)

    def _decimal(self, token: Token) -> Decimal:
        number = Decimal(str(token)) if len(token) <= MAX_DIGITS else None
        if number is None or abs(number.adjusted()) > MAX_DIGITS:
            raise self._error(f"the number has more than {MAX_DIGITS} digits", token)
        return number

    def _check_depth(self, tree: Tree[Token], depth: int, what: str) -> None:
        if depth > MAX_DEPTH:
            hint = "Leave out parentheses." if what == "the condition" else "Write it with fewer terms."
            raise self._error(f"{what} is nested more than {MAX_DEPTH} levels deep", tree, hint=hint)

    def _error(self, problem: str, node: Token | Tree[Token], *, hint: str = "") -> QueryError:
        span = _span(node)
        return QueryError(problem, text=self.text, position=span.start, length=span.end - span.start, hint=hint)


def _operator(tree: Tree[Token]) -> str:
    rule = next(t for t in _trees(tree) if t.data in ("compare", "match", "list_operator"))
    written = " ".join(str(token).upper() for token in rule.children)
    return _OPERATORS.get(written, written)


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [c for c in tree.children if isinstance(c, Tree)]


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [c for c in tree.children if isinstance(c, Token)]


def _subtree(tree: Tree[Token], rule: str) -> Any:
    """The child of that rule, None if there is none."""
    return next((c for c in _trees(tree) if c.data == rule), None)


def _unquoted(text: str, quote: str) -> str:
    return text[1:-1].replace(quote * 2, quote)


def _span(node: Token | Tree[Token]) -> ast.Span:
    where = node if isinstance(node, Token) else node.meta
    return ast.Span(where.start_pos or 0, where.end_pos or 0)
