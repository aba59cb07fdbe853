"""Why a text is no query, in words that help to mend it.

In: a text that the grammar refused. Out: a QueryError with the place, what was found, what was expected there, and a
hint: the nearest keyword for a misspelt one, or the way to write what was probably meant. The text is read again, token
by token, for the state of the parser before the last token too: `FOR EACCH customers.id` fails at `customers`, but the
word to mend is the one before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from dbt_rfm.errors import QueryError, nearest
from dbt_rfm.pql.ast import UNITS
from dbt_rfm.pql.hints import ARITHMETIC, COMPARISON, VALUE, hint_at_end, hint_for
from dbt_rfm.pql.tree import AGGREGATIONS

EXAMPLE = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"

KEYWORDS = frozenset(
    {"EXPLAIN", "EVALUATE", "PREDICT", "FOR", "EACH", "WHERE", "ASSUMING", "FORECAST", "TIMEFRAMES", "RANK", "CLASSIFY"}
    | {
        "VIA",
        "TOP",
        "AND",
        "OR",
        "NOT",
        "IS",
        "IN",
        "LIKE",
        "CONTAINS",
        "STARTS",
        "ENDS",
        "WITH",
        "TRUE",
        "FALSE",
        "NULL",
    }
)
# Those that may follow a finished part are listed last, in this order.
_FOLLOWING = ("EACH", "FOR", "AND", "OR", "WHERE", "ASSUMING", "TOP", "RANK", "CLASSIFY", "FORECAST", "$END")
_VALUES = "a number, a 'text', a date, TRUE, FALSE or NULL"
_OPERAND = frozenset({"WORD", "QUOTED", "LPAR", "INT", "DECIMAL"})
_COLUMN = frozenset({"WORD", "QUOTED", "STAR"})
_MARKS = {"LPAR": "'('", "RPAR": "')'", "COMMA": "','", "DOT": "'.'", "$END": "the end of the query"}
_UNREADABLE = {
    "'": ("the text is not closed: expected another ' on this line", "A ' inside a text is written twice: 'it''s'."),
    "`": ("the name is not closed: expected another ` on this line", ""),
    '"': ('" is no mark of the language', "Texts go in single quotes: 'gold'; unusual names in backticks: `order id`."),
    ";": ("expected one query and nothing behind it, got ;", "Leave out the semicolon and what follows."),
    "{": ("expected a predictive query, got {", "Jinja is rendered by dbt; elsewhere write plain table names."),
    "[": ("expected '(', got [", "Lists take parentheses: IN (1, 2)."),
    "%": ("arithmetic knows + - * /, got %", "In a text after LIKE, % stands for any letters."),
}


@dataclass(frozen=True)
class Stop:
    """Where reading stopped: what came before, what was found, what could have followed."""

    text: str
    tokens: tuple[Token, ...]  # read before
    found: Token | None  # None at the end of the text, and where no token starts
    unreadable: str  # the character at which no token starts, else ''
    position: int
    accepts: frozenset[str]  # terminals that could have followed
    accepted_before: frozenset[str]  # terminals that could have stood in place of the last token read

    @property
    def last(self) -> Token | None:
        return self.tokens[-1] if self.tokens else None


def complaint(grammar: Lark, text: str) -> QueryError:
    """The error for a text that the grammar does not accept."""
    stop = _stop(grammar, text)
    if stop.unreadable:
        default = (f"the character {stop.unreadable!r} has no meaning here", "")
        problem, hint = _UNREADABLE.get(stop.unreadable, default)
        return _error(stop, problem, hint)
    if stop.found is None and not stop.tokens:
        return QueryError("the query is empty", hint=f"Write for example: {EXAMPLE}")
    earlier = _misspelt_before(stop) or _keyword_as_name(stop) or _bare_text(stop)
    if earlier is not None:
        return earlier
    expected = _expected(stop.accepts, stop.last)
    if stop.found is None:
        return _error(
            stop, f"the query ends too early: expected {expected}", _unclosed(stop) or hint_at_end(stop.accepts)
        )
    problem = f"expected {expected}, got {_shown(stop.found)}"
    return _error(
        stop, problem, _misspelt(stop) or hint_for(text, stop.tokens, stop.found, stop.accepts) or _unclosed(stop)
    )


def _stop(grammar: Lark, text: str) -> Stop:
    run, tokens = grammar.parse_interactive(text), []
    found, unreadable = None, ""
    try:
        for token in run.iter_parse():  # each comes before it is fed
            tokens.append(token)
        position = tokens[-1].end_pos or 0 if tokens else len(text)
    except UnexpectedToken as error:
        found, position = error.token, error.token.start_pos or 0
        if tokens and tokens[-1] is found:
            tokens.pop()
    except UnexpectedCharacters as error:
        position = error.pos_in_stream or 0
        unreadable = text[position]
    before = grammar.parse_interactive(text)
    for token in islice(before.lexer_thread.lex(before.parser_state), max(len(tokens) - 1, 0)):
        before.feed_token(token)
    accepts, accepted_before = frozenset(run.accepts()), frozenset(before.accepts())
    return Stop(text, tuple(tokens), found, unreadable, position, accepts, accepted_before)


# --- what was expected, in words


def _expected(accepts: Collection[str], last: Token | None) -> str:
    """The terminals as a list a person would give, the likeliest first."""
    rest, words = set(accepts), []
    if not rest <= _COLUMN | ARITHMETIC:  # signs may stand almost everywhere: naming them would hide what is missing
        rest -= ARITHMETIC
    for group, phrase in _phrases(last):
        if group <= rest:
            rest -= group
            words.append(phrase)
    first = [m for m in ("COMMA", "DOT", "LPAR", "RPAR") if m in rest]
    words = [_MARKS[m] for m in first] + words
    others = sorted(rest - set(first), key=lambda t: (_FOLLOWING.index(t) if t in _FOLLOWING else -1, t))
    words += [_MARKS.get(t, t) for t in others]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _phrases(last: Token | None) -> list[tuple[frozenset[str], str]]:
    """Groups of terminals that stand for one thing, with its name."""
    return [
        (frozenset({"EXPLAIN", "EVALUATE", "PREDICT"}), "PREDICT"),
        (VALUE | _OPERAND, f"a value ({_VALUES}), an aggregation or a column"),
        (COMPARISON, "a comparison (=, !=, <, <=, >, >=, IS, IN, …)"),
        (VALUE, f"a value ({_VALUES})"),
        (frozenset({"INT", "DECIMAL", "INFINITY"}), "a whole number or -INF"),
        (_OPERAND | {"NOT"}, "an aggregation such as COUNT(…) or a column (table.column)"),
        (_OPERAND, "an aggregation such as COUNT(…), a column (table.column) or a number"),
        (_COLUMN, "a column or *"),
        (frozenset({"WORD", "QUOTED"}), _name_phrase(last)),
        (frozenset({"WORD"}), f"a unit ({', '.join(UNITS)})"),
        (frozenset({"INT"}), "a whole number"),
    ]


def _name_phrase(last: Token | None) -> str:
    if last is not None and last.type == "DOT":
        return "a column"
    if last is not None and last.type in ("FOR", "EACH"):
        return "the key of the entity (table.column)"
    return "a column (table.column) or table.*"


def _shown(token: Token) -> str:
    text = str(token)
    return text if len(text) <= 40 else f"{text[:37]}…"


# --- what was probably meant


def _misspelt(stop: Stop) -> str:
    """A hint if the word found is near a keyword that could have stood there."""
    if stop.found is None or stop.found.type != "WORD" or stop.found.upper() in AGGREGATIONS:
        return ""
    near = nearest(str(stop.found), KEYWORDS & stop.accepts, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _misspelt_before(stop: Stop) -> QueryError | None:
    """The error if the last word read was taken for a name but is near a keyword."""
    last = stop.last
    if last is None or last.type != "WORD" or stop.accepted_before <= {"WORD", "QUOTED", "STAR"}:
        return None
    near = nearest(str(last), KEYWORDS & stop.accepted_before, n=1)
    if near and str(last).upper() not in KEYWORDS:
        problem = f"expected {near[0]}, got {_shown(last)}" if "DOT" in stop.accepts else f"unexpected {_shown(last)}"
        return _error(stop, problem, f"Did you mean {near[0]}?", at=last)
    return None


def _keyword_as_name(stop: Stop) -> QueryError | None:
    """The error if the last word read was taken for a name but is a keyword in the wrong place."""
    last = stop.last
    if last is None or last.type != "WORD" or "DOT" not in stop.accepts:
        return None
    word = str(last).upper()
    if word in KEYWORDS:
        previous = stop.tokens[-2] if len(stop.tokens) > 1 else None
        problem = f"expected {_expected(stop.accepted_before, previous)}, got {_shown(last)}"
        return _error(stop, problem, f"A table of that name goes in backticks: `{last}`.", at=last)
    if word in AGGREGATIONS:
        return _error(stop, f"expected '(' after {word}", f"Write {word}(table.column, 0, 30, days).", at=last)
    return None


def _bare_text(stop: Stop) -> QueryError | None:
    """The error if the last word read was taken for a table but stands where a value goes: status = active."""
    last = stop.last
    if last is None or last.type != "WORD" or "DOT" not in stop.accepts or "STRING" not in stop.accepted_before:
        return None
    previous = stop.tokens[-2] if len(stop.tokens) > 1 else None
    problem = f"expected {_expected(stop.accepted_before, previous)}, got {_shown(last)}"
    return _error(stop, problem, f"A text goes in single quotes: '{_shown(last)}'.", at=last)


def _unclosed(stop: Stop) -> str:
    if "RPAR" not in stop.accepts:
        return ""
    opened: list[Token] = []
    for token in stop.tokens:
        if token.type == "LPAR":
            opened.append(token)
        elif token.type == "RPAR":
            opened.pop()
    return f"The ( at line {opened[-1].line}, column {opened[-1].column} is not closed." if opened else ""


def _error(stop: Stop, problem: str, hint: str = "", *, at: Token | None = None) -> QueryError:
    token = at or stop.found
    position = stop.position if token is None else token.start_pos
    length = 1 if token is None else len(token)
    return QueryError(problem, text=stop.text, position=position, length=length, hint=hint)
