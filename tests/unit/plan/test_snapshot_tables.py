"""Tables of versions (SCD2): each is read as of the moment asked about; the answers are worked out by hand."""

from __future__ import annotations

from datetime import datetime

import pytest
from hand_worked import World, world
from hand_worked_shop import A


@pytest.fixture(scope="module")
def snapshots() -> World:
    return world(
        """
        create table accounts (account_id integer, plan varchar, since timestamp, until timestamp);
        insert into accounts values
            (1, 'basic', '2024-01-01', '2024-03-01'), (1, 'pro', '2024-03-01', null), (2, 'basic', '2024-04-05', null);
        create table contracts (
            contract_id integer, account_id integer, state varchar,
            signed_at timestamp, since timestamp, until timestamp);
        insert into contracts values
            (10, 1, 'open', '2024-02-01', '2024-02-01', '2024-04-10'),
            (10, 1, 'closed', '2024-02-01', '2024-04-10', null);
        create table changes as from contracts; -- the same rows, which happen when a version begins
        create table payments (payment_id integer, account_id integer, paid_at timestamp);
        insert into payments values (1, 1, '2024-02-15'), (2, 1, '2024-04-02');
        """,
        keys={"accounts": "account_id", "contracts": "contract_id", "changes": "contract_id", "payments": "payment_id"},
        times={"contracts": "signed_at", "payments": "paid_at"},
        links=[
            "contracts.account_id -> accounts.account_id",
            "changes.account_id -> accounts.account_id",
            "payments.account_id -> accounts.account_id",
        ],
        valid={t: ("since", "until") for t in ("accounts", "contracts", "changes")},
    )


ACCOUNTS = "FOR EACH accounts.account_id"


def test__snapshot_entity__is_its_version_of_the_anchor(snapshots: World) -> None:
    query = f"PREDICT COUNT(payments.*, 0, 30) {ACCOUNTS} WHERE accounts.plan ="
    before = datetime(2024, 2, 1)
    assert (snapshots.who(f"{query} 'pro'", A), snapshots.who(f"{query} 'basic'", A)) == ([1], [])
    assert (snapshots.who(f"{query} 'pro'", before), snapshots.who(f"{query} 'basic'", before)) == ([], [1])
    found = snapshots.labels(f"PREDICT COUNT(payments.*, 0, 30) {ACCOUNTS}", before, A)
    assert found == {(1, before): 1, (1, A): 1}, "account 2 begins after both"


def test__snapshot_child__counts_the_versions_known_then(snapshots: World) -> None:
    query = f"PREDICT COUNT(payments.*, 0, 30) {ACCOUNTS} WHERE"
    assert snapshots.who(f"{query} COUNT(changes.* WHERE changes.state = 'open') = 1", A) == [1]
    assert snapshots.who(f"{query} COUNT(changes.* WHERE changes.state = 'closed') = 1", A) == []
    # Both versions were signed in February; the second one was not known before April.
    assert snapshots.who(f"{query} COUNT(contracts.*, -60, 0) = 1", A) == [1]
    assert snapshots.who(f"{query} COUNT(contracts.* WHERE contracts.state = 'closed', -60, 0) = 0", A) == [1]
    closed = f"PREDICT COUNT(changes.* WHERE changes.state = 'closed', 0, 30) {ACCOUNTS}"
    assert snapshots.labels(closed, A) == {1: 1}


def test__snapshot_parent__is_the_version_of_the_rows_time(snapshots: World) -> None:
    query = f"PREDICT COUNT(payments.*, 0, 30) {ACCOUNTS} WHERE COUNT(payments.* WHERE accounts.plan ="
    assert snapshots.who(f"{query} 'basic', -90, 0) = 1", A) == [1]
    assert snapshots.who(f"{query} 'pro', -90, 0) = 1", A) == []
    assert snapshots.labels(f"PREDICT COUNT(payments.* WHERE accounts.plan = 'pro', 0, 30) {ACCOUNTS}", A) == {1: 1}
