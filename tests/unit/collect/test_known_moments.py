"""Outcomes that are known at a moment of their own row: an invoice is late when it is due (`label_delay: due_at`).

Small drawn databases are compared with a walk over their rows in plain Python, and with databases whose outcomes,
moments and rows are others from some moment on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import duckdb
import pytest
from small_schema import schema, table

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.options import Options
from dbt_rfm.plan.event_outcome import KNOWN_MEAN
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import RelationalSchema, SemanticType
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.survey import survey
from dbt_rfm.warehouse.duckdb import DuckDB

START, END = datetime(2024, 5, 1), datetime(2024, 8, 1)
INVOICES = {
    "invoice_id": "INTEGER",
    "customer_id": "INTEGER",
    "issued_at": "TIMESTAMP",
    "due_at": "TIMESTAMP",
    "due_on": "DATE",
    "paid_at": "TIMESTAMP",
    "amount": "DOUBLE",
    "is_late": "BOOLEAN",
}
_TABLE = table("invoices", time="issued_at", **INVOICES)
SCHEMA = schema(
    table("customers", customer_id="INTEGER"),
    replace(
        _TABLE,
        columns=tuple(
            replace(c, semantic_type=SemanticType.TIMESTAMP if c.name == "due_on" else c.semantic_type)
            for c in _TABLE.columns
        ),
    ),
    links={"invoices.customer_id": "customers.customer_id"},
)
LATE = "PREDICT invoices.is_late FOR EACH invoices.invoice_id"
Row = tuple[int, int, datetime, datetime | None, date | None, datetime | None, float, bool | None]
Known = Mapping[str, object]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def invoice(key: int, issued: float, due: float | None, late: bool | None, customer: int = 1) -> Row:
    """Paid a day before it is due or a day after."""
    moment = None if due is None else day(due)
    paid = None if moment is None else moment + timedelta(days=1 if late else -1)
    return key, customer, day(issued), moment, moment.date() if moment else None, paid, 10.0 * key, late


def drawn(seed: int, since: float = 0, number: int = 40) -> list[Row]:
    """Few moments, so that what is due and what is issued fall together; terms from before the row to far ahead."""
    rng = random.Random(seed)
    rows = []
    for key in range(number):
        issued = since + rng.randrange(60) / 2
        due = rng.choice((issued - 2, issued, issued + 3, issued + 7.5, issued + 25, None))
        rows.append(invoice(1000 * seed + key, issued, due, rng.choice((True, False, None)), rng.randrange(3)))
    return rows


def known(row: Row, delay: str) -> datetime | None:
    due = {"due_at": row[3], "due_at + 2 days": row[3] and row[3] + timedelta(days=2)}
    due["due_on"] = row[4] and datetime.combine(row[4], time()) + timedelta(days=1)
    moment = due[delay]
    return None if moment is None else max(moment, row[2])


DELAYS = pytest.mark.parametrize("delay", ["due_at", "due_at + 2 days", "due_on"])


def collected(
    rows: Sequence[Row], delay: str = "due_at", query: str = LATE, *, with_rows: bool = False, **options: object
) -> Snapshot:
    settings = Options(**{"label_delay": delay, "backtest": False, "anchor": str(END), **options})  # type: ignore[arg-type]
    task = bind(parse(query), SCHEMA, delay_given=True)
    return collect(task, SCHEMA, database(rows), settings, with_rows=with_rows)


def database(rows: Sequence[Row]) -> DuckDB:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("CREATE TABLE customers AS SELECT i AS customer_id FROM range(4) t(i)")
    connection.execute(f"CREATE TABLE invoices ({', '.join(f'{name} {kind}' for name, kind in INVOICES.items())})")
    connection.executemany(f"INSERT INTO invoices VALUES ({', '.join('?' * len(INVOICES))})", rows)
    return DuckDB(connection)


def of(snapshot: Snapshot, split: str) -> list[int]:
    return sorted(r["entity"] for r in snapshot.examples.to_pylist() if r["split"] == split)


def seen_by_all(rows: Sequence[Row], delay: str) -> dict[int, dict[str, object]]:
    """What every invoice sees at its own time; the first two keep the question one that can be asked."""
    rows = [invoice(-1, 0, 0, True, customer=3), invoice(-2, 0, 0, False, customer=3), *rows]
    snapshot = collected(rows, delay, f"{LATE} IN ({', '.join(str(row[0]) for row in rows)})")
    both = zip(snapshot.examples.to_pylist(), snapshot.features.to_pylist(), strict=True)
    return {e["entity"]: {**values, "example_id": None} for e, values in both if e["split"] == QUERY}


#: Due after 30, 5 and 14 days, never, and a day before they were issued.
BY_HAND = [
    invoice(1, 0, 30, True),
    invoice(2, 1, 6, False),
    invoice(3, 2, 16, True),
    invoice(4, 3, None, True),
    invoice(5, 8, 7, False),
    invoice(6, 20, 34, True),
    invoice(7, 31, 200, True),
]


def test__known_moment__outcomes_of_the_customer__count_from_their_own_moment_on() -> None:
    seen = {key: values[f"{KNOWN_MEAN}customers"] for key, values in seen_by_all(BY_HAND, "due_at").items()}
    assert [seen[key] for key in (1, 2, 3, 4)] == [None, None, None, None]
    assert seen[5] == 0  # the second
    assert seen[6] == pytest.approx(1 / 3)  # and the third, and the fifth, which was known when it was issued
    assert seen[7] == pytest.approx(2 / 4)  # and the first


def test__known_moment__windows__count_from_when_it_was_known() -> None:
    seen = seen_by_all(BY_HAND, "due_at")[6]
    assert [seen[f"invoices>customers<invoices@due_at.count.{w}"] for w in ("1d", "7d", "30d")] == [0, 1, 3]
    assert seen["invoices>customers<invoices@due_at.recency"] == 4


def test__known_moment__context_is_what_has_come__the_others_are_asked() -> None:
    snapshot = collected(BY_HAND)
    assert of(snapshot, CONTEXT) == [1, 2, 3, 5, 6]
    assert of(snapshot, QUERY) == [4, 7]  # one that is never known, one that is not yet
    earlier = collected(BY_HAND, anchor=str(day(16)))
    assert (of(earlier, CONTEXT), of(earlier, QUERY)) == ([2, 3, 5], [1, 4])


def test__known_moment__backtest__learns_from_what_was_known_before_the_first_tested() -> None:
    rows = [invoice(i, i, i + (3 if i % 2 else 30), i % 3 == 0) for i in range(1, 61)]
    snapshot = collected(rows, backtest=True, anchor=str(day(61)))
    tested, learnt = of(snapshot, BACKTEST), of(snapshot, BACKTEST_CONTEXT)
    assert tested == list(range(43, 58, 2))  # of the newest those that were due after three days
    assert learnt == sorted([*range(1, 40, 2), *range(2, 13, 2)])  # day 43: long terms up to day 12


def test__known_moment__time_that_is_asked_about__is_read_as_it_was_then() -> None:
    query = "PREDICT invoices.paid_at IS NULL FOR EACH invoices.invoice_id"
    labels = {r["entity"]: r["label"] for r in collected(BY_HAND, query=query).examples.to_pylist()}
    assert {key: labels[key] for key in (1, 2, 3, 5, 6)} == {1: True, 2: False, 3: True, 5: False, 6: True}
    rows = [*BY_HAND[:2], (*BY_HAND[2][:5], day(18), *BY_HAND[2][6:])]  # paid a day late, a day early, two days late
    labels = {r["entity"]: r["label"] for r in collected(rows, "due_at + 1 day", query).examples.to_pylist()}
    assert labels == {1: False, 2: False, 3: True}


@DELAYS
def test__known_moment__drawn__share_is_that_of_a_walk_over_the_rows(delay: str) -> None:
    rows = drawn(5)
    seen = seen_by_all(rows, delay)
    for row in rows:
        came = [(known(r, delay), r[7]) for r in rows if r[1] == row[1] and r[7] is not None]
        shown = [late for moment, late in came if moment is not None and moment < row[2]]
        wanted = sum(shown) / len(shown) if shown else None
        assert seen[row[0]][f"{KNOWN_MEAN}customers"] == (None if wanted is None else pytest.approx(wanted))
        assert seen[row[0]][f"invoices>customers<invoices@{delay.replace(' + 2 days', '+2d')}.count.all"] == len(shown)


@DELAYS
@pytest.mark.parametrize("seed", range(2))
def test__leak__outcomes_not_known_yet__moments_to_come__later_rows__move_nothing(seed: int, delay: str) -> None:
    """Everything that is said of rows from a moment on is another, whoever asks before sees the same."""
    rows, until = drawn(seed), day(15)

    def otherwise(row: Row) -> Row:
        moment = known(row, delay)
        if moment is not None and moment < until:
            return row
        # Still to come, but at another time, or never.
        due = random.Random(row[0]).choice((None, until, until + timedelta(days=row[0] % 9)))
        return *row[:3], due, due and due.date(), row[5], row[6], not row[7]

    early = [row for row in rows if row[2] <= until]
    changed = [otherwise(row) for row in early]
    later = [row for row in drawn(seed + 50, since=15.5) if row[2] > until]
    before, after = seen_by_all(rows, delay), seen_by_all([*changed, *later], delay)
    assert len([1 for one, other in zip(early, changed, strict=True) if one != other]) > 5
    for row in early:
        ours = {k: v for k, v in before[row[0]].items() if not k.startswith("invoices.")}
        assert ours == {k: v for k, v in after[row[0]].items() if not k.startswith("invoices.")}


def test__leak__known_outcome_flipped__invoices_from_then_on_see_it() -> None:
    rows = drawn(3)
    first = min(
        (row for row in rows if row[3] is not None and row[7] is not None), key=lambda row: known(row, "due_at")
    )
    flipped = [(*row[:7], not row[7]) if row is first else row for row in rows]
    before, after = seen_by_all(rows, "due_at"), seen_by_all(flipped, "due_at")
    moved = {row[0]: row[2] for row in rows if before[row[0]] != after[row[0]]}
    then = known(first, "due_at")
    assert moved and then is not None and all(moment > then for moment in moved.values())


@DELAYS
def test__rows_around__outcome_is_shown_once_it_is_known(delay: str) -> None:
    rows = {row[0]: row for row in drawn(4)}
    snapshot = collected([*rows.values()], delay, with_rows=True)
    stands = {e["example_id"]: e["anchor_time"] for e in snapshot.examples.to_pylist()}
    shown = snapshot.rows["invoices"].to_pylist()
    others = [r for r in shown if r["hop"]]
    for r in others:
        moment = known(rows[r["invoice_id"]], delay)
        is_known = moment is not None and moment <= stands[r["example_id"]]
        assert r["is_late"] == (rows[r["invoice_id"]][7] if is_known else None)
    assert any(r["is_late"] is not None for r in others)
    assert {r["is_late"] for r in shown if not r["hop"]} == {None}


# --- what is told of it


@pytest.mark.parametrize(
    ("delay", "said"),
    [
        (
            "due",
            "label_delay is 'due', and invoices has no column due\n  Did you mean due_on or due_at? Write how long",
        ),
        (
            "amount",
            "invoices.amount is no date or timestamp (DOUBLE)\n  Write how long after an event its outcome is known",
        ),
        ("issued_at + 1 day", "invoices.issued_at is when the row happened\n  Write the span alone: '7 days'"),
        ("made_at + 1 day", "label_delay is 'made_at + 1 day', and made_at of invoices is left out"),
    ],
)
def test__known_moment__no_moment_of_the_table__says_which_there_are(delay: str, said: str) -> None:
    known_schema = _with(lambda t: replace(t, left_out=("made_at",)))
    with pytest.raises(ProjectError) as caught:
        _survey(BY_HAND, known_schema, delay)
    assert said in str(caught.value) and "such as issued_at" not in str(caught.value)


def test__known_moment__in_the_other_case__is_found() -> None:
    assert of(collected(BY_HAND, "DUE_AT"), QUERY) == [4, 7]


def test__known_moment__that_may_be_moved__is_said_and_so_are_rows_without_one() -> None:
    rows = [*BY_HAND, (*BY_HAND[0][:3], datetime(9999, 12, 31), *BY_HAND[0][4:])]
    moved, missing = _survey(rows, SCHEMA).notes[:2]
    assert "nothing shows that invoices.due_at is known beforehand and never moved" in moved
    assert missing == "2 rows of invoices have no due_at, so their outcomes are never known"
    for vouched in ({"fixed": True}, {"inferred": False}):
        columns = {"due_at": vouched}
        assert not [n for n in _survey(BY_HAND[:3], _with(lambda t, c=columns: _told(t, c))).notes if "due_at" in n]


def test__known_moment__nothing_said__note_names_the_plan_that_the_table_has() -> None:
    planned = _with(lambda t: _told(t, {"due_at": {"fixed": True}}))
    assert "(or '0 days'), or at due_at, then label_delay: due_at" in _survey(BY_HAND, planned, "").notes[0]
    assert "due_at" not in _survey(BY_HAND, SCHEMA, "").notes[0]


def test__known_moment__none_has_come__says_from_when_outcomes_count() -> None:
    with pytest.raises(DataError, match="Outcomes count where they are not null, from 2 days after due_at on"):
        collected([BY_HAND[3], BY_HAND[6]], "due_at + 2 days")


def _survey(rows: Sequence[Row], tables: RelationalSchema, delay: str = "due_at"):
    task = bind(parse(LATE), tables, delay_given=True)
    return survey(task, tables, database(rows), Options(label_delay=delay, anchor=str(END)))


def _with(changed) -> RelationalSchema:
    return replace(SCHEMA, tables=tuple(changed(t) if t.name == "invoices" else t for t in SCHEMA.tables))


def _told(given, told: Mapping[str, Known]):
    return replace(given, columns=tuple(replace(c, **told.get(c.name, {})) for c in given.columns))
