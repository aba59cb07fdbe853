"""Our reading of the query language beside that of its owner's public packages.

In: the queries of tests/unit/pql (valid.pql, and those refused in syntax_errors.txt and binding_errors.txt), those of
corpus.pql here. Out: for every query whether each parser takes it, each difference printed with its kind; what a kind
means is decision 0016. The packages are for development only, in a virtual environment of their own: make differential.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.parser import parse

HERE = Path(__file__).parent
UNIT = HERE.parent / "unit" / "pql"
sys.path.append(str(UNIT))

# The kinds of decision 0016, by what in the query or in the refusing message shows them; the first that fits.
KINDS: tuple[tuple[str, str], ...] = (
    ("ours only: VIA, composite keys", r"\b(VIA|Via|via)\b|\.\("),
    (
        "ours only: arithmetic and computed sides",
        r"\) ?[-+/*] ?\w|PREDICT - |\.amount \* |[=>] (customers|orders)\.|> COUNT|3 < ",
    ),
    ("ours only: words in mixed case, units in the singular", r"Predict|\b(second|minute|hour|week|month|TIMEFRAME)\b"),
    ("ours only: more literals and names", r"\+7|- INF|''|``|ö|\d:\d|[< >]\.5|-- to the end"),
    ("ours only: NOT IN, lists of one value, any LIKE pattern", r"NOT IN|IN \(7\)|LIKE "),
    ("theirs at parsing, ours at binding: windows that are empty, IS NULL of the key", r"3,0\)|30, 30\)|_id IS NULL"),
    ("theirs only: one value or a list where the other is meant", r"IN 3|= \(3,4\)"),
    ("theirs only: TOP 0, numbers beyond 38 digits, double quotes", r"TOP 0|9{39}|1e99|\"gold\""),
)


@dataclass(frozen=True)
class Verdict:
    """What both parsers said about one query: a message, or None where it was taken."""

    query: str
    ours: str | None
    theirs: str | None

    @property
    def differs(self) -> bool:
        return (self.ours is None) != (self.theirs is None)

    @property
    def kind(self) -> str | None:
        """The kind of the difference; None where no decision names one."""
        return next((kind for kind, pattern in KINDS if re.search(pattern, self.query)), None)


def corpus() -> list[str]:
    """Every query once, in the order of the files."""
    from golden_messages import read_messages

    lines = [*(UNIT / "valid.pql").read_text().splitlines(), *(HERE / "corpus.pql").read_text().splitlines()]
    queries = [line for line in lines if line.strip() and not line.startswith("#")]
    refused = [query for name in ("syntax_errors.txt", "binding_errors.txt") for query, _ in read_messages(name)]
    return list(dict.fromkeys([*queries, *refused]))


def compare(query: str) -> Verdict:
    return Verdict(query, _ours(query), _theirs(query))


def _ours(query: str) -> str | None:
    try:
        parse(query)
    except QueryError as error:
        return str(error)
    return None


def _theirs(query: str) -> str | None:
    """As the packages' own entry does: syntax errors are ValueErrors, constants that cannot be read TypeErrors."""
    from predictive_query.parser.parser import PQLParser

    try:
        PQLParser().to_parsed_predictive_query(query)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    verdicts = [compare(query) for query in corpus()]
    kinds = Counter((v.ours is None, v.theirs is None) for v in verdicts)
    different = [v for v in verdicts if v.differs]
    for verdict in different:
        side, message = ("theirs", verdict.theirs) if verdict.theirs else ("ours", verdict.ours)
        print(f"\n{verdict.query}\n  {verdict.kind}\n  only {side} refuses: {' '.join(message.split())[:200]}")
    for kind, number in Counter(v.kind for v in different).items():
        print(f"{number:4} {kind}")
    print(f"\n{len(verdicts)} queries: both take {kinds[True, True]}, both refuse {kinds[False, False]}, ", end="")
    print(f"only we take {kinds[True, False]}, only they take {kinds[False, True]}")


if __name__ == "__main__":
    main()
