"""Text to tree: `parse("PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id")`.

In: the text of a query. Out: an `ast.Query` with positions, no names resolved. Whatever the text, the answer is a query
or a QueryError that says where, what was found and what was expected. The grammar is `grammar.lark`, in the predictive
query language of KumoRFM (its grammar restated, see docs/query_language.md); it is compiled at the first call, which
takes some 60 ms, and kept. LALR(1): the time is linear in the length of the text, which is limited.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.ast import Query

if TYPE_CHECKING:
    from lark import Lark

MAX_LENGTH = 50_000


def parse(text: str) -> Query:
    """The query as a tree. Raises QueryError."""
    from lark.exceptions import UnexpectedInput

    from dbt_rfm.pql.complaints import complaint
    from dbt_rfm.pql.tree import query_of

    _check_text(text)
    grammar = _grammar()
    try:
        tree = grammar.parse(text)
    except UnexpectedInput:
        raise complaint(grammar, text) from None
    return query_of(tree, text)


def without_command(text: str, command: str) -> str:
    """The text with EXPLAIN or EVALUATE in front of it blanked out, so that places stay as they are.

    >>> without_command("explain PREDICT t.x FOR EACH t.id", "EXPLAIN")
    '        PREDICT t.x FOR EACH t.id'
    """
    found = re.match(rf"((?:\s|(?:--|#)[^\n]*(?:\n|$))*)({command})\b", text, flags=re.IGNORECASE)
    return f"{found[1]}{' ' * len(found[2])}{text[found.end() :]}" if found else text


@cache
def _grammar() -> Lark:
    from importlib import resources

    from lark import Lark

    source = resources.files("dbt_rfm.pql").joinpath("grammar.lark").read_text("utf-8")
    return Lark(source, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _check_text(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"the query has {len(text):,} characters, at most {MAX_LENGTH:,} are read",
            hint="A long list of keys belongs in a table of the graph or in --entity.",
        )
