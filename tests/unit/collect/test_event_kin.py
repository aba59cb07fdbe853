"""What an event is told of others: how often its values and keys came before, what is known below them, who agrees.

Small drawn databases are compared with a walk over their rows in plain Python, and with databases that go on otherwise
after a moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pytest
from small_schema import schema, table

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.options import Options
from dbt_rfm.plan.agreements import MAX_AGREEMENTS
from dbt_rfm.plan.event_flags import MAX_FREQUENT, MAX_NEW
from dbt_rfm.plan.event_groups import MAX_SEEN
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import RelationalSchema, Table
from dbt_rfm.snapshot import QUERY
from dbt_rfm.warehouse.duckdb import DuckDB

START = datetime(2024, 5, 1)
COUNTRIES, STATES = ("DE", "FR", "O'C"), ("declined", "refused")
Row = tuple[object, ...]
Rows = Mapping[str, Sequence[Row]]
Seen = dict[tuple[object, object], dict[str, object]]


def with_values(given: Table, **values: tuple[str, ...]) -> Table:
    """The table with the frequent values of some categories."""
    told = [replace(c, values=values.get(c.name, ()), all_values=c.name in values) for c in given.columns]
    return replace(given, columns=tuple(told))


SCHEMA = schema(
    with_values(table("cards", card_id="INTEGER", home="VARCHAR"), home=COUNTRIES),
    table("devices", device_id="INTEGER"),
    with_values(
        table(
            "payments",
            time="paid_at",
            payment_id="INTEGER",
            card_id="INTEGER",
            device_id="INTEGER",
            paid_at="TIMESTAMP",
            amount="DOUBLE",
            status="VARCHAR",
            country="VARCHAR",
            is_fraud="BOOLEAN",
        ),
        status=STATES,
        country=COUNTRIES,
    ),
    table(
        "chargebacks",
        time="reported_at",
        chargeback_id="INTEGER",
        payment_id="INTEGER",
        reported_at="TIMESTAMP",
        fee="DOUBLE",
    ),
    links={
        "payments.card_id": "cards.card_id",
        "payments.device_id": "devices.device_id",
        "chargebacks.payment_id": "payments.payment_id",
    },
)
CARD = "payments>cards<payments"


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def drawn(seed: int, first: int = 0, *, since: float = 0) -> dict[str, list[Row]]:
    """Few moments, cards and devices, so that rows meet; also rows without a time, a key or a value."""
    rng = random.Random(seed)

    def moment() -> datetime | None:
        return day(since + rng.randrange(1, 60) / 2) if rng.random() < 0.95 else None

    payments = [
        (
            first + i,
            rng.choice((1, 1, 2, 3, None)),
            rng.choice((1, 2, 3, None)),
            moment(),
            float(rng.randrange(1, 40)),
            rng.choice(("approved", "approved", *STATES, None)),
            rng.choice((*COUNTRIES, None)),
            rng.random() < 0.4,
        )
        for i in range(40)
    ]
    chargebacks = [(first + i, first + rng.randrange(45), moment(), 1.0) for i in range(25)]
    # The newest event is always there, so that every database is asked as of the same anchor.
    last = (9000, 3, 3, day(200), 1.0, "approved", "DE", False)
    cards = [(1, "DE"), (2, "O'C"), (3, None)]
    return {"cards": cards, "payments": [*payments, last], "chargebacks": chargebacks}


def database(rows: Rows, tables: RelationalSchema) -> DuckDB:
    connection = duckdb.connect(config={"threads": 1})
    for each in tables.tables:
        declared = ", ".join(f'"{c.name}" {c.data_type}' for c in each.columns)
        connection.execute(f"CREATE TABLE {each.name} ({declared})")
        for row in rows.get(each.name, ()):
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO {each.name} VALUES ({marks})", row)
    return DuckDB(connection)


def seen_by_all(rows: Rows, tables: RelationalSchema = SCHEMA, *, brief: bool = False) -> Seen:
    """What every payment with a time sees, as (payment, time) -> features."""
    ids = ", ".join(str(p[0]) for p in rows["payments"])
    query = parse(f"PREDICT payments.is_fraud FOR EACH payments.payment_id IN ({ids})")
    task = bind(query, tables, delay_given=True)
    options = Options(label_delay="3 days", backtest=False, context_size=100)
    snapshot = collect(task, tables, database(rows, tables), options, with_rows=False, brief=brief)
    both = zip(snapshot.examples.to_pylist(), snapshot.features.to_pylist(), strict=True)
    return {
        (e["entity"], e["anchor_time"]): {**values, "example_id": None} for e, values in both if e["split"] == QUERY
    }


def earlier(rows: Iterable[Row], than: Row) -> list[Row]:
    return [row for row in rows if row[3] is not None and row[3] < than[3]]  # type: ignore[operator]


@pytest.fixture(params=range(3))
def rows(request: pytest.FixtureRequest) -> dict[str, list[Row]]:
    return drawn(request.param)


def check(rows: Rows, feature: str, wanted: Callable[[Row, list[Row]], float | None]) -> None:
    """For every payment, of those before it."""
    seen, payments = seen_by_all(rows), rows["payments"]
    told = {p[0]: wanted(p, earlier(payments, p)) for p in payments if p[3] is not None}
    assert {key: seen[key, p[3]][feature] for p in payments if (key := p[0]) in told} == told
    assert len({*told.values()}) > 1


def test__declined_payments_of_the_card__are_counted_before_the_event(rows: dict[str, list[Row]]) -> None:
    def lately(payment: Row, before: list[Row]) -> float:
        since = payment[3] - timedelta(days=7)  # type: ignore[operator]
        same = [p for p in before if p[1] is not None and p[1] == payment[1] and p[5] == "declined"]
        return float(sum(p[3] > since for p in same))  # type: ignore[operator]

    check(rows, f"{CARD}.status=declined.count.7d", lately)


def test__devices_of_the_card__are_counted_once_each(rows: dict[str, list[Row]]) -> None:
    def devices(payment: Row, before: list[Row]) -> float:
        return float(len({p[2] for p in before if payment[1] is not None and p[1] == payment[1]} - {None}))

    check(rows, f"{CARD}.new device_id.count.all", devices)


@pytest.mark.parametrize(("other", "place"), [("device_id", 2), ("country", 6)])
def test__card_and_another_key__counts_earlier_rows_with_both(
    rows: dict[str, list[Row]], other: str, place: int
) -> None:
    def together(payment: Row, before: list[Row]) -> float | None:
        pair = (payment[1], payment[place])
        return None if None in pair else float(sum((p[1], p[place]) == pair for p in before))

    check(rows, f"payments>card_id+{other}.seen", together)


def test__chargebacks_of_the_card__count_once_they_and_their_payment_are_known(rows: dict[str, list[Row]]) -> None:
    by_id = {p[0]: p for p in rows["payments"]}

    def known(payment: Row, _: list[Row]) -> float:
        found = [(by_id[c[1]], c[2]) for c in rows["chargebacks"] if c[1] in by_id]
        return float(
            sum(
                p[1] is not None and p[1] == payment[1] and None not in (at, p[3]) and max(at, p[3]) < payment[3]  # type: ignore[type-var]
                for p, at in found
            )
        )

    check(rows, "payments>cards<payments<chargebacks.count.all", known)


def test__country_of_the_payment_and_of_the_card__are_compared(rows: dict[str, list[Row]]) -> None:
    homes = dict(rows["cards"])

    def same(payment: Row, _: list[Row]) -> float | None:
        home = homes.get(payment[1])
        return None if None in (home, payment[6]) else float(home == payment[6])

    check(rows, "payments.country same as cards.home", same)


def test__categories_with_other_values__are_not_compared(rows: dict[str, list[Row]]) -> None:
    features = next(iter(seen_by_all(rows).values()))
    assert [name for name in features if " same as " in name] == ["payments.country same as cards.home"]


def test__codes_that_are_numbers__are_not_compared(rows: dict[str, list[Row]]) -> None:
    codes = {"home": ("1", "2"), "country": ("1", "2")}
    changed = [with_values(t, **codes) if t.name in ("cards", "payments") else t for t in SCHEMA.tables]
    features = next(iter(seen_by_all(rows, replace(SCHEMA, tables=tuple(changed))).values()))
    assert not [name for name in features if " same as " in name]


def test__quick_answer__is_told_less_of_others(rows: dict[str, list[Row]]) -> None:
    brief, whole = (seen_by_all(rows, brief=each) for each in (True, False))
    told = [name for name in next(iter(whole.values())) if "=" in name or ".new " in name or name.endswith(".seen")]
    assert len(told) > 10
    for payment, features in brief.items():
        assert not {*told} & {*features}
        assert features[f"{CARD}.count.all"] == whole[payment][f"{CARD}.count.all"]


@pytest.mark.parametrize("seed", range(4))
def test__leak__rows_that_come_later_changed_deleted_added__earlier_events_see_the_same(seed: int) -> None:
    rows, until = drawn(seed), day(15)
    other = drawn(seed + 50, 1000, since=15)
    early = [p for p in rows["payments"] if p[3] is not None and p[3] <= until]  # type: ignore[operator]
    reported = [c for c in rows["chargebacks"] if c[2] is not None and c[2] <= until]  # type: ignore[operator]
    # Later chargebacks also of early payments, and of those that are gone.
    late = [(*c[:1], rows["payments"][i][0], *c[2:]) for i, c in enumerate(other["chargebacks"])]
    changed = {
        "cards": rows["cards"],
        "payments": [*early, *other["payments"]],
        "chargebacks": [*reported, *late],
    }
    before, after = seen_by_all(rows), seen_by_all(changed)
    assert len(early) > 10
    for payment in early:
        assert before[payment[0], payment[3]] == after[payment[0], payment[3]]


def test__wide_events__columns_stay_bounded() -> None:
    """Twenty categories of nine values each, in the event and in its card."""
    values = tuple("abcdefghi")
    more = {f"c{i}": "VARCHAR" for i in range(20)}
    narrow = [SCHEMA.table(name) for name in ("cards", "payments")]
    wider = [replace(t, columns=(*t.columns, *table("x", **more).columns)) for t in narrow]
    told = {name: values for name in more}
    others = [SCHEMA.table(name) for name in ("devices", "chargebacks")]
    tables = replace(SCHEMA, tables=(*(with_values(t, **told) for t in wider), *others))
    words = ["a"] * 20
    payments = [(i, 1, 1, day(100 * i), 1.0, "approved", "DE", i == 0, *words) for i in range(3)]
    rows: Rows = {"cards": [(1, "DE", *words)], "payments": payments}
    found = [*next(iter(seen_by_all(rows, tables).values()))]
    counted = [name for name in found if name.startswith(CARD) and name.endswith(".count.all")]
    assert sum("=" in name for name in counted) == MAX_FREQUENT
    assert sum(".new " in name for name in counted) == MAX_NEW
    assert sum(name.endswith(".seen") for name in found) == MAX_SEEN
    assert sum(" same as " in name for name in found) == MAX_AGREEMENTS
