"""Moments that end their row are told from those that are overwritten, planned or written of finished rows only."""

from __future__ import annotations

import pytest

# Ten tickets a day for 1,000 days, each with a moment that comes up to 20 days after its own, or has not come yet.
ROWS = """
select i as ticket_id, i % 5 as account_id, opened_at, case when {known} then moment end as {name} from (
    select i, timestamp '2024-01-01' + to_days((i // 10)::int) as opened_at, {moment} as moment from range(10000) t(i)
)
"""
LATER = "timestamp '2024-01-01' + to_days((i // 10 + 1 + i * 7 % 20)::int)"
NEWEST = "timestamp '2026-09-26'"
COME = f"moment <= {NEWEST}"


def ends(shop, name: str, known: str = COME, moment: str = LATER, **declared) -> list[str]:
    shop.table("accounts", "select range as account_id from range(5)")
    rows = ROWS.format(known=known, name=name, moment=moment)
    shop.table("tickets", rows, event_time="opened_at", **declared)
    schema = shop.schema()
    found = [c.name for c in schema.table("tickets").columns if c.ends]
    assert any(f"open until then: tickets.{name};" in note for note in schema.notes) == bool(found)
    return found


@pytest.mark.parametrize("name", ["solved_at", "closedAt", "END_DATE", "delivery_on"])
def test__moment__written_when_it_comes__ends_its_row(shop, name):
    assert ends(shop, name) == [name]


def test__moment__of_few_rows__ends_them_too(shop):
    """Most are never cancelled; those that were go on being so."""
    assert ends(shop, "cancelled_at", f"{COME} and i % 10 = 0") == ["cancelled_at"]


@pytest.mark.parametrize(("declared", "found"), [(True, ["seen_at"]), (False, [])])
def test__moment__whose_name_does_not_say_so__is_an_end_if_declared(shop, declared, found):
    columns = {"seen_at": {"meta": {"rfm": {"semantic_type": "timestamp"}}}} if declared else {}
    assert ends(shop, "seen_at", columns=columns) == found


@pytest.mark.parametrize(
    ("known", "rows"),
    [
        pytest.param(COME, f"where done_on <= {NEWEST}", id="its rows are there once they have ended"),
        pytest.param(f"moment <= {NEWEST} - interval 30 day", "", id="it is dated back"),
        pytest.param("true", "", id="it is known before it comes"),
    ],
)
def test__moment__that_is_not_written_when_it_comes__is_no_end(shop, known, rows):
    shop.table("accounts", "select range as account_id from range(5)")
    tickets = ROWS.format(known=known, name="done_on", moment=LATER)
    shop.table("tickets", f"select * from ({tickets}) {rows}", event_time="opened_at")
    assert not any(c.ends for c in shop.schema().table("tickets").columns)


@pytest.mark.parametrize("never", [0, 3])
def test__moment__that_is_overwritten_by_the_last_one__is_no_end(shop, never):
    """Every tenth account left at some time, the others came back lately; some never came at all."""
    last = f"case when i % 9 = 0 then {LATER} else {NEWEST} - to_days((i * 7 % 30)::int) end"
    columns = {"return_at": {"meta": {"rfm": {"semantic_type": "timestamp"}}}}
    known = f"{COME} and i % 7 >= {never} and moment >= opened_at"
    assert ends(shop, "return_at", known, last, columns=columns) == []


def test__moment__before_the_time_of_its_row__is_no_end(shop):
    assert ends(shop, "paid_at", "true", "timestamp '2024-01-01' + to_days((i // 10 - 1 - i * 7 % 20)::int)") == []
