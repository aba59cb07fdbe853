"""Attributes of events: who is learnt from, asked and tested on, and what an event sees of its kin."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pytest
from small_schema import schema, table

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError, ProjectError, QueryError
from dbt_rfm.evaluate.backtest import backtest
from dbt_rfm.model.interface import Predictions
from dbt_rfm.options import Options, read_delay
from dbt_rfm.plan.event_outcome import KNOWN_MEAN
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import Link, RelationalSchema
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.survey import survey
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

START = datetime(2024, 5, 1)
SCHEMA = schema(
    table("cards", card_id="INTEGER", brand="VARCHAR"),
    table("shops", shop_id="INTEGER", town="VARCHAR"),
    table(
        "payments",
        time="paid_at",
        payment_id="INTEGER",
        card_id="INTEGER",
        shop_id="INTEGER",
        paid_at="TIMESTAMP",
        amount="DOUBLE",
        channel="VARCHAR",
        is_fraud="BOOLEAN",
        flag="INTEGER",
        settled_at="TIMESTAMP",
    ),
    links={"payments.card_id": "cards.card_id", "payments.shop_id": "shops.shop_id"},
)
FRAUD = "PREDICT payments.is_fraud FOR EACH payments.payment_id"
SHOP_OF = "PREDICT payments.shop_id FOR EACH payments.payment_id"
Row = tuple[int, int, int, datetime, float, str, bool | None]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def database(rows: Sequence[Row]) -> DuckDB:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("CREATE TABLE cards AS SELECT i AS card_id, 'b' || i % 2 AS brand FROM range(9) t(i)")
    connection.execute("CREATE TABLE shops AS SELECT i AS shop_id, 's' || i % 4 AS town FROM range(9) t(i)")
    connection.execute(
        "CREATE TABLE payments (payment_id INTEGER, card_id INTEGER, shop_id INTEGER, paid_at TIMESTAMP, "
        "amount DOUBLE, channel VARCHAR, is_fraud BOOLEAN, flag INTEGER, settled_at TIMESTAMP)"
    )
    every = [(*row, int(row[0] in (1, 3, 6))) for row in rows]  # flag: a number that says what happened by hand
    connection.executemany("INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", every)
    connection.execute("UPDATE payments SET settled_at = paid_at + to_days(3 * payment_id) WHERE payment_id < 6")
    return DuckDB(connection)


#: Card 1 pays at shop 1, then 2; the frauds are known or not by the fourth, which stands at day 10.
BY_HAND: list[Row] = [
    (1, 1, 1, day(0), 10.0, "web", True),
    (2, 1, 2, day(2), 30.0, "web", False),
    (3, 1, 2, day(8), 20.0, "till", True),  # known at day 15 only
    (4, 1, 2, day(10), 80.0, "web", False),
    (5, 2, 2, day(9.5), 5.0, "till", False),
    (6, 1, 1, day(10), 999.0, "web", True),  # at the same moment as the fourth
    (7, 1, 2, day(30), 7.0, "web", None),
    (8, 2, 1, day(40), 1.0, "web", False),
]


def collected(rows: Sequence[Row], query: str = FRAUD, **options: object) -> Snapshot:
    settings = Options(**{"label_delay": "7 days", "backtest": False, "context_size": 100, **options})  # type: ignore[arg-type]
    task = bind(parse(query), SCHEMA, delay_given=bool(settings.label_delay))
    return collect(task, SCHEMA, database(rows), settings, with_rows=False)


def of(snapshot: Snapshot, split: str) -> list[int]:
    return [r["entity"] for r in snapshot.examples.to_pylist() if r["split"] == split]


def features(snapshot: Snapshot, payment: int) -> dict[str, object]:
    place = snapshot.examples["entity"].to_pylist().index(payment)
    return snapshot.features.slice(place, 1).to_pylist()[0]


def test__history__fourth_payment_of_a_card__as_worked_by_hand() -> None:
    seen = features(collected(BY_HAND), 4)
    card, shop = "payments>cards<payments", "payments>shops<payments"
    assert {w: seen[f"{card}.count.{w}"] for w in ("1d", "7d", "30d", "all")} == {"1d": 0, "7d": 1, "30d": 3, "all": 3}
    assert seen[f"{card}.recency"] == 2
    assert seen[f"{card}.amount.mean.7d"] == 20
    assert seen[f"{card}.amount.mean.all"] == 20
    assert seen[f"{card}.amount.max.all"] == 30
    assert seen[f"{card}.amount.ratio.all"] == 4
    assert seen[f"{card}.amount.last"] == 20
    assert seen[f"{card}.amount.std.all"] == pytest.approx((200 / 3) ** 0.5)
    assert seen[f"{card}.amount.deviations.all"] == pytest.approx(60 / (200 / 3) ** 0.5)
    assert seen[f"{shop}.count.all"] == 3
    assert seen[f"{shop}.amount.mean.all"] == pytest.approx(55 / 3)
    assert seen["payments>card_id+shop_id.count.all"] == 2
    assert seen["payments>channel.count.all"] == 2
    assert seen["payments>card_id+channel.count.all"] == 2
    assert seen["anchor.hour"] == 0


def test__history__window_of_nothing_but_zeros__has_no_ratio_whatever_rounding_leaves() -> None:
    draw, cards = random.Random(0), range(1, 9)
    paid: list[Row] = [
        (10 + i, 1 + i % 9, 1, day(i), round(draw.uniform(0.01, 900), 2), "web", bool(i % 2)) for i in range(300)
    ]
    free: list[Row] = [(1000 + 10 * c + i, c, 1, day(350 + i), 0.0, "web", False) for c in cards for i in range(5)]
    asked: list[Row] = [(2000 + c, c, 1, day(356), 50.0, "web", None) for c in cards]
    snapshot = collected([*paid, *free, *asked])
    seen = [features(snapshot, 2000 + c) for c in cards]
    amount = "payments>cards<payments.amount"
    assert {s[f"{amount}.mean.30d"] for s in seen} == {0}
    assert {s[f"{amount}.ratio.30d"] for s in seen} == {None}
    assert all(s[f"{amount}.ratio.all"] > 0 for s in seen)


def test__history__outcomes__count_once_their_delay_is_over() -> None:
    seen = features(collected(BY_HAND), 4)
    card, shop = "payments>cards<payments@7d", "payments>shops<payments@7d"
    assert seen[f"{card}.count.all"] == 2  # those of day 0 and day 2; that of day 8 is known at day 15
    assert seen[f"{KNOWN_MEAN}cards"] == 0.5
    assert seen[f"{card}.outcome.sum.all"] == 1
    assert seen[f"{shop}.count.all"] == 1
    assert seen[f"{KNOWN_MEAN}shops"] == 0
    assert seen["known outcome.last of cards"] == 0
    # Windows go back from the last moment that counts: day 3. In the day before it lies day 2.5, in the week all.
    assert [seen[f"{card}.count.{w}"] for w in ("1d", "7d", "30d")] == [0, 2, 2]


def test__history__classes__shares_of_the_outcomes_known_by_then() -> None:
    asked = "PREDICT payments.channel FOR EACH payments.payment_id"
    seen = features(collected(BY_HAND, asked), 4)
    shares = {c: seen[f"payments>cards<payments@7d.outcome {c}.share.all"] for c in ("web", "till")}
    assert shares == {"web": 1.0, "till": 0.0}  # the third, at the till, is not known yet
    seen = features(collected(BY_HAND, asked), 7)
    assert seen["payments>cards<payments@7d.outcome till.share.all"] == pytest.approx(1 / 5)


def test__history__delay_ends_at_the_very_moment__outcome_counts() -> None:
    rows: list[Row] = [(1, 1, 1, day(3), 1.0, "web", True), (2, 1, 1, day(10), 1.0, "web", False)]
    seen = features(collected([*rows, (3, 1, 1, day(20), 1.0, "web", None)]), 2)
    assert seen["payments>cards<payments@7d.count.all"] == 1


def test__history__zero_delay__only_rows_before_count() -> None:
    rows: list[Row] = [
        (1, 1, 1, day(1), 1.0, "web", True),
        (2, 1, 1, day(2), 1.0, "web", True),
        (3, 1, 1, day(2), 1.0, "web", False),
    ]
    seen = features(collected(rows, label_delay="0 days"), 3)
    assert seen["payments>cards<payments@0d.count.all"] == 1


def test__collect__delay__context_is_known_and_queries_are_not() -> None:
    snapshot = collected(BY_HAND)
    assert snapshot.anchor == day(40)
    assert sorted(of(snapshot, CONTEXT)) == [1, 2, 3, 4, 5, 6]
    assert sorted(of(snapshot, QUERY)) == [7, 8]  # null, and younger than a week: what stands there may still change
    times = dict(
        zip(snapshot.examples["entity"].to_pylist(), snapshot.examples["anchor_time"].to_pylist(), strict=True)
    )
    assert times[7] == day(30)


def test__collect__anchor_in_the_past__later_events_do_not_exist() -> None:
    snapshot = collected(BY_HAND, anchor=str(day(10)))
    assert sorted(of(snapshot, CONTEXT)) == [1, 2]
    assert sorted(of(snapshot, QUERY)) == [3, 4, 5, 6]


def test__collect__no_delay_said__no_outcome_is_a_feature_and_a_note_says_so() -> None:
    snapshot = collected(BY_HAND, label_delay="")
    assert not [name for name in snapshot.features.column_names if "outcome" in name]
    assert of(snapshot, QUERY) == [7]
    assert "meta.rfm.label_delay" in snapshot.notes[0]


def test__survey__no_delay_and_rows_that_come_later__note_says_how_to_have_them_read() -> None:
    """A customer with a home store is no event: what came since is most of what is known of him."""
    disputes = table(
        "disputes", time="opened_at", dispute_id="INTEGER", payment_id="INTEGER", opened_at="TIMESTAMP", fee="DOUBLE"
    )
    known = replace(
        SCHEMA,
        tables=(*SCHEMA.tables, disputes),
        links=(*SCHEMA.links, Link("disputes", "payment_id", "payments", "payment_id")),
    )
    rows = database(BY_HAND)
    columns = "dispute_id INTEGER, payment_id INTEGER, opened_at TIMESTAMP, fee DOUBLE"
    rows._cursor.execute(f"CREATE TABLE disputes ({columns})")

    def notes(**options: str) -> str:
        return " ".join(survey(bind(parse(FRAUD), known), known, rows, Options(**options)).notes)

    said = "later rows of disputes say nothing of it; to tell it from all that is known by now, set "
    assert f"{said}meta.rfm.time_column: none on payments" in notes()
    assert said not in notes(label_delay="7 days"), "who says when outcomes are known has said that these are events"


def test__collect__no_delay_and_nothing_null__note_says_what_to_do() -> None:
    snapshot = collected([r for r in BY_HAND if r[6] is not None], label_delay="")
    assert of(snapshot, QUERY) == []
    assert any("set meta.rfm.label_delay to score" in note for note in snapshot.notes)


def test__collect__payment_named_by_key__is_asked_although_it_is_known() -> None:
    snapshot = collected(BY_HAND, f"{FRAUD} = 4")
    assert of(snapshot, QUERY) == [4]


def test__collect__where__narrows_context_and_queries() -> None:
    snapshot = collected(BY_HAND, f"{FRAUD} WHERE payments.channel = 'web' AND cards.brand = 'b1'")
    assert sorted(of(snapshot, CONTEXT)) == [1, 2, 4, 6]
    assert of(snapshot, QUERY) == [7]


def test__collect__where_over_rows__is_refused() -> None:
    lines = replace(table("lines", time="at", card_id="INTEGER", brand="VARCHAR"), relation="cards")
    wider = RelationalSchema(
        (*SCHEMA.tables, lines), (*SCHEMA.links, Link("lines", "card_id", "payments", "payment_id"))
    )
    task = bind(parse(f"{FRAUD} WHERE COUNT(lines.*, -30, 0, days) > 0"), wider)
    with pytest.raises(QueryError, match="compares columns, and COUNT is an aggregation"):
        collect(task, wider, database(BY_HAND), Options(anchor="2024-06-30"))


def test__collect__condition_on_a_number__is_a_yes_or_no() -> None:
    snapshot = collected(BY_HAND, "PREDICT payments.flag = 1 FOR EACH payments.payment_id")
    assert snapshot.kind == TaskKind.BINARY
    labels = dict(zip(snapshot.examples["entity"].to_pylist(), snapshot.examples["label"].to_pylist(), strict=True))
    assert [labels[i] for i in range(1, 7)] == [True, False, True, False, False, True]
    assert features(snapshot, 4)[f"{KNOWN_MEAN}cards"] == 0.5
    assert not [name for name in snapshot.features.column_names if "flag" in name]


def test__collect__arithmetic__is_a_number() -> None:
    snapshot = collected(BY_HAND, "PREDICT payments.amount * 2 + payments.flag FOR EACH payments.payment_id")
    assert features(snapshot, 4)[f"{KNOWN_MEAN}cards"] == (21 + 60) / 2
    assert not [name for name in snapshot.features.column_names if "amount" in name or "flag" in name]


def test__collect__condition_on_a_time__is_a_yes_or_no() -> None:
    snapshot = collected(BY_HAND, "PREDICT payments.paid_at > '2024-05-02' FOR EACH payments.payment_id")
    assert features(snapshot, 4)[f"{KNOWN_MEAN}cards"] == 0.5


def test__collect__condition_on_a_time_filled_in_later__is_read_as_it_was_after_the_delay() -> None:
    query = "PREDICT payments.settled_at IS NULL FOR EACH payments.payment_id"
    snapshot = collected(BY_HAND, query)
    labels = {r["entity"]: r["label"] for r in snapshot.examples.to_pylist() if r["split"] == CONTEXT}
    # Settled after 3, 6, 9, 12 and 15 days; a week after the payment only the first two were.
    assert labels == {1: False, 2: False, 3: True, 4: True, 5: True, 6: True, 7: True}
    assert features(snapshot, 4)[f"{KNOWN_MEAN}cards"] == 0


def test__collect__categories_and_numbers__are_predicted_too() -> None:
    words = collected(BY_HAND, "PREDICT payments.channel FOR EACH payments.payment_id")
    assert words.kind == TaskKind.MULTICLASS and words.classes == ("till", "web")
    assert features(words, 4)["known outcome.last of cards"] == "web"
    numbers = collected(BY_HAND, "PREDICT payments.amount FOR EACH payments.payment_id")
    assert numbers.kind == TaskKind.REGRESSION
    assert features(numbers, 4)[f"{KNOWN_MEAN}cards"] == 20
    assert "payments>cards<payments.amount.mean.all" not in numbers.features.column_names


def test__backtest__newest_fifth__is_answered_from_what_was_known_before() -> None:
    rows: list[Row] = [(i, i % 3, i % 4, day(i), float(i), "web", i % 3 == 0) for i in range(1, 61)]
    snapshot = collected(rows, backtest=True)
    tested, learnt = of(snapshot, BACKTEST), of(snapshot, BACKTEST_CONTEXT)
    assert sorted(tested) == list(range(44, 54))  # known by day 60 are those up to day 53: ten of them
    assert max(learnt) == 37  # known by day 44
    figures = backtest(snapshot, Predictions(TaskKind.BINARY, ("false", "true"), probabilities=_even(len(tested))))
    assert figures is not None
    assert set(figures.baselines) == {"constant", "history of cards", "history of shops"}
    assert figures.baselines["history of cards"]["auroc"] == 1.0


def _even(rows: int) -> object:
    import numpy as np

    return np.full((rows, 2), 0.5)


def test__collect__very_many_events__the_newest_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbt_rfm.collect.events.MAX_LABELS", 5)
    snapshot = collected(BY_HAND)
    assert sorted(of(snapshot, CONTEXT)) == [4, 5, 6], "of the newest five, 4 to 8, two are not known yet"
    assert sorted(of(snapshot, QUERY)) == [7, 8]
    assert any("has more than 5 rows: learnt from are those since 2024-05-10 12:00" in n for n in snapshot.notes)


def test__survey__events__are_counted_and_explained() -> None:
    task = bind(parse(FRAUD), SCHEMA)
    found = survey(task, SCHEMA, database(BY_HAND), Options(label_delay="7 days"))
    assert (found.examples, found.asked, found.classes) == (6, 2, {"false": 3, "true": 3})
    assert '"paid_at"' in found.label_sql
    assert "each as things stood at its own paid_at" in describe(task)


def test__collect__nothing_known__says_so() -> None:
    with pytest.raises(DataError, match="no row of payments has a known outcome by 2024-06-10"):
        collected([(*row[:6], None) for row in BY_HAND])


def test__collect__delay_for_a_question_about_the_future__is_refused() -> None:
    query = "PREDICT COUNT(payments.*, 0, 5, days) FOR EACH cards.card_id"
    with pytest.raises(ProjectError, match="no event is asked about"):
        collected(BY_HAND, query)


@pytest.mark.parametrize(
    "text",
    ["7", "7 days + due_at", "due_at + 7", "-3 days", "7 fortnights", " ", "0 bananas", "201 years", "2401 months"],
)
def test__read_delay__no_time__says_what_to_write(text: str) -> None:
    with pytest.raises(ProjectError, match="label_delay") as caught:
        read_delay(text)
    assert "'7 days'" in str(caught.value)


def test__read_delay__given__is_a_span_after_the_row_or_a_column() -> None:
    assert read_delay("") is None
    assert read_delay("0 days") == Delay(Window(0, 0, "days"))
    assert read_delay("36 hours") == Delay(Window(0, 36, "hours"))
    assert read_delay("due_at") == Delay(Window(0, 0, "days"), "due_at")
    assert read_delay("Due at+36 hours") == Delay(Window(0, 36, "hours"), "Due at")


# --- whatever comes later moves nothing


def drawn(seed: int, number: int = 60) -> list[Row]:
    rng = random.Random(seed)
    return [
        (
            i,
            rng.randrange(4),
            rng.randrange(3),
            day(rng.randrange(80) / 2),
            float(rng.randrange(1, 50)),
            rng.choice(("web", "till")),
            rng.random() < 0.4,
        )
        for i in range(number)
    ]


def seen_by_all(
    rows: Sequence[Row], asked: str = FRAUD, **options: object
) -> dict[tuple[int, datetime], dict[str, object]]:
    """What every event sees, as (payment, time) -> features."""
    ids = ", ".join(str(row[0]) for row in rows)
    snapshot = collected(rows, f"{asked} IN ({ids})", **options)
    found: dict[tuple[int, datetime], dict[str, object]] = {}
    for example, values in zip(snapshot.examples.to_pylist(), snapshot.features.to_pylist(), strict=True):
        if example["split"] == QUERY:
            values.pop("example_id")
            found[example["entity"], example["anchor_time"]] = values
    assert len(found) == len(rows)
    return found


@pytest.fixture(params=range(3))
def rows(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    yield drawn(request.param)


def test__leak__later_rows_changed_deleted_added__earlier_events_see_the_same(rows: list[Row]) -> None:
    until = day(20)
    early = [row for row in rows if row[3] <= until]
    other = [(*row[:4], row[4] + 100, "phone", not row[6]) for row in drawn(99) if row[3] > until]
    changed = [(row[0] + 1000, *row[1:]) for row in other]
    # The same last event in both, so that both are asked as of the same anchor.
    last: Row = (5000, 0, 0, day(60), 1.0, "web", False)
    before, after = seen_by_all([*rows, last]), seen_by_all([*early, *changed, last])
    assert len(early) > 10
    for row in early:
        # At `until` itself, rows of the same moment may differ: none does here, they are all early.
        assert before[row[0], row[3]] == after[row[0], row[3]]


@pytest.mark.parametrize("delay", ["7 days", "0 days", "36 hours"])
def test__leak__own_and_too_fresh_outcomes_flipped__event_sees_the_same(rows: list[Row], delay: str) -> None:
    read = read_delay(delay)
    assert read is not None
    span = timedelta(**{read.span.unit: read.span.end})
    before = seen_by_all(rows, label_delay=delay)
    for asked in rows[::12]:
        too_fresh = [row for row in rows if row[3] + span > asked[3] or row[3] >= asked[3]]
        flipped = {row[0] for row in too_fresh}
        assert asked[0] in flipped
        other = [(*row[:6], not row[6]) if row[0] in flipped else row for row in rows]
        assert seen_by_all(other, label_delay=delay)[asked[0], asked[3]] == before[asked[0], asked[3]]


def test__leak__own_and_too_fresh_foreign_keys_moved__event_that_asks_for_them_sees_the_same(rows: list[Row]) -> None:
    before = seen_by_all(rows, SHOP_OF)
    for asked in rows[::12]:
        too_fresh = {row[0] for row in rows if row[3] + timedelta(days=7) > asked[3]}
        other = [(*row[:2], row[2] + 1, *row[3:]) if row[0] in too_fresh else row for row in rows]
        after = seen_by_all(other, SHOP_OF)
        assert before != after
        # Which classes there are is told of all events together: of one that nobody had by then the share is 0.
        had, has = ({k: v for k, v in seen[asked[0], asked[3]].items() if v} for seen in (before, after))
        assert had == has
    assert not [name for name in next(iter(before.values())) if "shops" in name or "town" in name]


def test__leak__known_outcome_flipped__later_events_see_it(rows: list[Row]) -> None:
    first = min(rows, key=lambda row: row[3])
    flipped = [(*row[:6], not row[6]) if row is first else row for row in rows]
    before, after = seen_by_all(rows), seen_by_all(flipped)
    moved = {key for key in before if before[key] != after[key]}
    assert moved and all(time >= first[3] + timedelta(days=7) for _, time in moved)


def test__leak__no_delay_said__no_outcome_moves_anything(rows: list[Row]) -> None:
    flipped = [(*row[:6], not row[6]) for row in rows]
    assert seen_by_all(rows, label_delay="") == seen_by_all(flipped, label_delay="")
