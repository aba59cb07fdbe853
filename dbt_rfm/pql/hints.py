"""Hints for what people write who know SQL, Python or another dialect.

In: the tokens read, the one that does not fit, what would fit. Out: a sentence, or '' where nothing comes to mind. The
first rule that applies answers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lark import Token

COMPARISON = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE", "LIKE", "CONTAINS", "STARTS", "ENDS", "IN", "IS", "NOT"})
ARITHMETIC = frozenset({"PLUS", "MINUS", "STAR", "SLASH"})
VALUE = frozenset({"STRING", "DATETIME", "DECIMAL", "INT", "TRUE", "FALSE", "NULL"})
_WORDS = {
    "BETWEEN": "Write it as two comparisons: t.x >= 1 AND t.x <= 5.",
    "GROUP": "There is no GROUP BY: FOR EACH says what one prediction is for.",
    "ORDER": "There is no ORDER BY: sort the prediction table where you read it.",
    "LIMIT": "There is no LIMIT: narrow the entities with WHERE.",
    "JOIN": "There is no JOIN: tables are joined along the links of the graph.",
    "FROM": "There is no FROM: columns are written table.column.",
    "SELECT": "A predictive query starts with PREDICT.",
    "HAVING": "There is no HAVING: WHERE takes aggregations too.",
    "NULLS": "Write IS NULL or IS NOT NULL.",
    "XOR": "Conditions are joined by AND and OR.",
}
_CONDITION = "A condition compares something with a value: table.flag = TRUE."
_COLUMN = "A column is written table.column."
_KEY = "A key of several columns is written FOR EACH table.(first, second)."
_FOR_EACH = "A query ends with FOR EACH table.key, then WHERE, then ASSUMING."


def hint_for(text: str, tokens: Sequence[Token], found: Token, accepts: Collection[str]) -> str:
    """The hint for `found` after `tokens`, where one of `accepts` could stand."""
    last = tokens[-1] if tokens else None
    if str(found).upper() in _WORDS:
        return _WORDS[str(found).upper()]
    if last is None:
        return ""
    if last.type == found.type == "EQ":
        return "Equality is written with one =."
    return (
        _on_clauses(tokens, found)
        or _on_values(text, tokens, found, accepts)
        or _on_windows(last, found, accepts)
        or _on_columns(tokens, found, accepts)
    )


def hint_at_end(accepts: Collection[str]) -> str:
    """The hint for a text that stops where one of `accepts` has to stand."""
    if "FOR" in accepts:
        return _FOR_EACH
    if "DOT" in accepts:
        return _COLUMN
    return _CONDITION if set(accepts) - ARITHMETIC == COMPARISON else ""


def _on_clauses(tokens: Sequence[Token], found: Token) -> str:
    seen = {t.type for t in tokens}
    if found.type in ("VIA", "WORD") and found.upper() == "VIA" and tokens[-1].type != "LPAR":
        return "VIA stands behind the column, before WHERE and the window."
    if found.type == "WHERE" and "ASSUMING" in seen:
        return "WHERE stands before ASSUMING."
    if found.type in seen and found.type in ("WHERE", "ASSUMING"):
        return f"A query has one {found.type}: join its conditions with AND."
    if found.type in ("AND", "OR") and "FOR" in seen and not seen & {"WHERE", "ASSUMING"}:
        return "Conditions on the entities start with WHERE."
    if found.type in ("WHERE", "ASSUMING") and "FOR" not in seen:
        return _FOR_EACH
    opened = sum({"LPAR": 1, "RPAR": -1}.get(t.type, 0) for t in tokens)
    if found.type == "COMMA" and "FOR" not in seen and not opened and tokens[-1].type == "RPAR":
        return "A query has one target: ask the second one in a query of its own, or combine them with + - * /."
    if found.type == "RPAR":
        return "" if opened > 0 else "There is no ( that it closes."
    return ""


def _on_values(text: str, tokens: Sequence[Token], found: Token, accepts: Collection[str]) -> str:
    """A value is expected or found in the wrong place."""
    if "STRING" in accepts and found.type == "WORD":
        following = text[found.end_pos :].lstrip()[:1]
        if following in (".", "("):
            return "IS, IN and the text operators are followed by values: aggregations and columns stand on the left."
        return f"A text goes in single quotes: '{found}'."
    if found.type == "COMMA" and [t.type for t in tokens[-2:-1]] == ["LPAR"] and tokens[-1].type in VALUE:
        return "A list of values is compared with IN."
    if "NOT" in accepts and "WORD" in accepts and found.type in VALUE:
        return "A value stands on the right side of a comparison: write the column or aggregation first."
    return ""


def _on_windows(last: Token, found: Token, accepts: Collection[str]) -> str:
    if last.type == "INT" and found.type == "RPAR" and "COMMA" in accepts:
        return "A window has a start and an end: COUNT(orders.*, 0, 30, days)."
    if last.type == "INT" and found.type == "WORD" and "COMMA" in accepts:
        return f"A comma stands between the number and the unit: {last}, {found}."
    return ""


def _on_columns(tokens: Sequence[Token], found: Token, accepts: Collection[str]) -> str:
    last = tokens[-1]
    if found.type in ARITHMETIC and "VIA" in accepts:
        return "Arithmetic stands between aggregations; what is computed of one row needs a column of its table."
    if found.type == "LPAR" and last.type in ("FOR", "EACH"):
        return _KEY
    if found.type == "COMMA" and "ASSUMING" in accepts and [t.type for t in tokens[-2:-1]] == ["DOT"]:
        return _KEY
    if found.type == "RPAR" and accepts == {"COMMA"}:
        return "A key of one column is written table.column."
    ends = last.type in ("INT", "DECIMAL", "RPAR") and set(accepts) >= ARITHMETIC and "AND" not in accepts
    if found.type in ("WORD", "LPAR") and ends:
        return "Between two numbers stands one of + - * /."
    if found.type == "DOT":
        return "A column is written table.column, with the table's name in the graph."
    if found.type == "STAR" and last.type == "LPAR":
        return "Name the table whose rows count: COUNT(orders.*, 0, 30, days)."
    if last.type == "WORD" and last.upper() == "DISTINCT":
        return "Distinct values are counted by COUNT_DISTINCT(table.column, …)."
    if last.type == "WORD" and "DOT" in accepts:
        return _COLUMN
    return _CONDITION if set(accepts) - ARITHMETIC == COMPARISON else ""
