"""The Snowflake warehouse with the real connector on fakesnow: names, types, session tables, one state, errors."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from dbt_rfm.errors import DataError, ProjectError, RightMissing
from dbt_rfm.plan import sql as plan_sql

pytest.importorskip("snowflake.connector", reason="snowflake-connector-python is not installed")

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from snowflake.connector.auth import AuthByKeyPair
from snowflake.connector.errors import OperationalError, ProgrammingError

from dbt_rfm.warehouse.snowflake import _as_ours, _not_connected, _NotThere, connection_arguments


def sql(text: str) -> exp.Expression:
    return parse_one(text, dialect="snowflakerfm")


def run(warehouse, text: str) -> None:
    command, rest = text.split(" ", 1)
    warehouse.execute(exp.Command(this=command, expression=rest))


@pytest.fixture
def customers(snowflake):
    run(
        snowflake,
        'create table customers (customer_id number(38,0), "Name" varchar, "low" number(10,2), since timestamp_ntz, '
        "seen timestamp_tz, more variant, born date, vip boolean, score float)",
    )
    run(
        snowflake,
        "insert into customers select 1, 'ann', 3.25, '2024-01-01 00:00:01.5'::timestamp_ntz, "
        "'2024-01-01 00:00:00 +02:00'::timestamp_tz, parse_json('{\"a\": [1]}'), '2000-02-03'::date, true, 0.1 "
        "union all select 2, null, null, null, null, null, null, null, null",
    )
    return snowflake


def test__describe__table_view_and_subquery__names_in_other_case_and_types(customers):
    expected = {
        "customer_id": "NUMBER(38,0)",
        "Name": "VARCHAR",
        "LOW": "NUMBER(10,2)",
        "since": "TIMESTAMP_NTZ",
        "seen": "TIMESTAMP_TZ",
        "more": "VARIANT",
        "born": "DATE",
        "vip": "BOOLEAN",
        "score": "FLOAT",
    }
    run(customers, "create view people as select * from customers")
    for relation in ("customers", "people", "(select * from customers where false limit 0) as q"):
        assert dict(customers.describe(relation)) == expected


def test__query__every_type__as_the_package_knows_it(customers):
    first, second = customers.query(sql("select * from customers order by customer_id")).to_pylist()
    assert first == {
        "customer_id": 1,
        "Name": "ann",
        "LOW": Decimal("3.25"),
        "since": datetime(2024, 1, 1, 0, 0, 1, 500_000),
        "seen": datetime(2023, 12, 31, 22, tzinfo=UTC),
        "more": '{"a":[1]}',
        "born": date(2000, 2, 3),
        "vip": True,
        "score": 0.1,
    }
    assert {name: second[name] for name in second if name != "customer_id"} == dict.fromkeys(list(second)[1:])


def test__query__no_rows__columns_and_types_all_the_same(customers):
    some = customers.query(sql("select * from customers"))
    assert customers.query(sql("select * from customers where false")).schema == some.schema


def test__query__whole_numbers__64_bit_where_they_fit(snowflake):
    got = snowflake.query(sql("select 1 as small, 12345678901234567890 as large, null::number(38,0) as nothing"))
    assert [str(field.type) for field in got.schema] == ["int64", "decimal128(38, 0)", "int64"]
    assert got.column("large")[0].as_py() == 12345678901234567890


def test__query__table_and_column_made_in_mixed_case__found_under_their_own_names(snowflake):
    run(snowflake, 'create table "Some Table" (id number(38,0), "Some Id" number(38,0))')
    run(snowflake, 'insert into "Some Table" select 1, 2')
    read = plan_sql.select(*plan_sql.columns(("id", "Some Id"))).from_(plan_sql.temporary("Some Table"))
    assert snowflake.query(read).to_pylist() == [{"id": 1, "Some Id": 2}]
    assert [name for name, _ in snowflake.describe('"Some Table"')] == ["id", "Some Id"]


def test__create_temporary__again__replaced_and_seen_by_no_other_session(snowflake, snowflake_output):
    from snowflake_server import opened

    snowflake.create_temporary("mine", sql("select 1 as a"))
    snowflake.create_temporary("mine", sql("select 2 as a"))
    read = exp.select("*").from_(plan_sql.temporary("mine"))
    assert snowflake.query(read).to_pylist() == [{"a": 2}]
    with opened(snowflake_output) as other, pytest.raises(ProjectError, match="does not exist"):
        other.query(read)


def test__load_temporary__every_type__comes_back(snowflake):
    rows = pa.table(
        {
            "at": pa.array([datetime(2024, 1, 1, 1, 2, 3, 4), None, datetime(1, 1, 1)], pa.timestamp("us")),
            "Mixed": pa.array([1, 2, None], pa.int32()),
            "amount": [0.1, None, -1e300],
            "text": ["it's \\ é", "", None],
            "flag": [True, None, False],
            "day": pa.array([date(2024, 2, 29), None, date(1, 1, 1)]),
            "price": pa.array([Decimal("1.25"), None, Decimal("-2")], pa.decimal128(10, 2)),
            "moment": pa.array([datetime(2024, 1, 1), None, None], pa.timestamp("ns", tz="Europe/Berlin")),
            "word": pa.array(["a", "b", "a"]).dictionary_encode(),
            "nothing": pa.nulls(3),
        }
    )
    snowflake.load_temporary("rows", rows)
    got = snowflake.query(exp.select("*").from_(plan_sql.temporary("rows")))
    assert got.to_pylist() == [
        {**row, "moment": row["moment"] and row["moment"].astimezone(UTC)} for row in rows.to_pylist()
    ]
    snowflake.load_temporary("rows", rows.slice(0, 0))
    assert snowflake.query(exp.select("*").from_(plan_sql.temporary("rows"))).num_rows == 0


def test__load_temporary__many_files__all_rows_and_no_file_left(snowflake, monkeypatch, tmp_path):
    monkeypatch.setattr("dbt_rfm.warehouse.snowflake._ROWS_PER_FILE", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    snowflake.load_temporary("rows", pa.table({"n": range(3500)}))
    total = snowflake.query(sql('select count(distinct "n") as n, sum("n") as s from "rows"')).to_pylist()
    assert total == [{"n": 3500, "s": 3500 * 3499 / 2}]
    assert os.listdir(tmp_path) == []


def test__transaction__error_inside__undone_and_joined_by_inner_ones(customers):
    with pytest.raises(KeyError), customers.transaction():
        run(customers, "delete from customers where customer_id = 1")
        with customers.transaction():
            run(customers, "delete from customers")
        raise KeyError
    count = sql("select count(*) as n from customers")
    assert customers.query(count).to_pylist() == [{"n": 2}]
    with customers.transaction():
        run(customers, "delete from customers")
    assert customers.query(count).to_pylist() == [{"n": 0}]


def test__one_state__tables_views_and_subqueries__stay_as_they_were(customers):
    run(customers, "create view people as select * from customers")
    relations = ["customers", "people", "(select customer_id from customers) as q"]
    with customers.one_state(relations) as seen:
        run(customers, "insert into customers(customer_id) select 3")
        read = [exp.select("*").from_(seen[relation], dialect=customers.dialect) for relation in relations]
        assert [customers.query(select).num_rows for select in read] == [2, 2, 2]
        assert customers.describe(seen["customers"]) == customers.describe("customers")
    assert customers.query(exp.select("*").from_("customers", dialect=customers.dialect)).num_rows == 3


def test__one_state__relation_that_is_not_there__said(customers):
    with pytest.raises(ProjectError, match="does not exist"), customers.one_state(["customers", "nobody"]):
        pass


def test__tables__of_a_schema_or_one__spelled_as_here(customers, snowflake_output):
    database, schema = snowflake_output["database"].lower(), snowflake_output["schema"].lower()
    run(customers, 'create table "Some Table" (a int)')
    assert customers.tables(database, schema) == {"customers": "BASE TABLE", "Some Table": "BASE TABLE"}
    assert customers.tables(None, schema, "customers") == {"customers": "BASE TABLE"}
    assert customers.tables(database, schema, "Customers") == {}


def test__tables__of_a_database_that_is_not_there__none(snowflake, monkeypatch):
    # fakesnow finds an empty schema in any database; Snowflake says this.
    message = "SQL compilation error:\nDatabase 'NOBODYS' does not exist or not authorized."

    def refuse(text):
        raise ProgrammingError(msg=message, errno=2003, sqlstate="02000", send_telemetry=False)

    monkeypatch.setattr(snowflake, "_ran", refuse)
    assert snowflake.tables("nobodys", "marts") == {}
    with pytest.raises(ProjectError, match="nobodys does not exist in Snowflake"):
        snowflake.query(sql("select 1 from nobodys.marts.customers"))


def test__has_schema__spelled_as_here__found_in_its_database_only(snowflake, snowflake_output):
    database, schema = (snowflake_output[name].lower() for name in ("database", "schema"))
    assert snowflake.has_schema(database, schema)
    assert not snowflake.has_schema(database, f"{schema}_rfm")
    assert not snowflake.has_schema("elsewhere", schema)


def test__query__value_that_cannot_be_cast__data_error_without_the_value(customers):
    with pytest.raises(DataError) as caught:
        customers.query(sql("select 'secret-77'::int as a"))
    assert "secret" not in str(caught.value) and caught.value.__cause__ is None


def test__describe__no_relation__refused(snowflake):
    with pytest.raises(ProjectError):
        snowflake.describe("orders; drop table orders")


@pytest.mark.parametrize(
    ("number", "state", "message", "kind", "shown"),
    [
        (
            2003,
            "42S02",
            "SQL compilation error:\nObject 'DB.MARTS.CUSTOMERS' does not exist or not authorized.",
            _NotThere,
            "customers does not exist in Snowflake, or the role may not see it",
        ),
        (
            904,
            "42000",
            "SQL compilation error: error line 1 at position 7\ninvalid identifier 'C.BIRTH_YEAR'",
            ProjectError,
            "Snowflake finds no column birth_year",
        ),
        (100038, "22018", "Numeric value 'ann@example.com' is not recognized", DataError, "Numeric value … is not"),
        (100072, "22000", "NULL result in a non-nullable column", DataError, "NULL result in a non-nullable column"),
        (
            3001,
            "42501",
            "SQL access control error:\nInsufficient privileges to operate on schema 'MARTS'",
            RightMissing,
            "Snowflake says: Insufficient privileges to operate on schema 'MARTS'",
        ),
        (
            90105,
            "22000",
            "Cannot perform CREATE TABLE. This session does not have a current database.",
            ProjectError,
            "does not have a current database",
        ),
        (
            606,
            "57P03",
            "No active warehouse selected in the current session.  Select an active warehouse.",
            ProjectError,
            "No active warehouse selected",
        ),
        (
            1003,
            "42000",
            "SQL compilation error:\nsyntax error line 1 at position 3 unexpected 'secret'.",
            ProjectError,
            "Snowflake refuses this: syntax error line … at position … unexpected ….",
        ),
    ],
)
def test__error__of_snowflake__one_line_of_ours(number, state, message, kind, shown):
    error = ProgrammingError(msg=message, errno=number, sqlstate=state, query="select secret", send_telemetry=False)
    ours = _as_ours(error)
    assert type(ours) is kind and shown in str(ours)
    for hidden in ("secret", "ann@example.com", "\n    "):
        assert hidden not in str(ours)


def test__error__connection_lost__says_so():
    ours = _as_ours(OperationalError(msg="Connection reset by peer", errno=250003, send_telemetry=False))
    assert "the connection to Snowflake is gone" in str(ours)


def test__not_connected__secrets_in_the_message__left_out():
    error = OperationalError(msg="Incorrect password hunter2 for ann", errno=250001, send_telemetry=False)
    shown = str(_not_connected(error, {"account": "acme-eu1", "password": "hunter2"}))
    assert "acme-eu1" in shown and "hunter2" not in shown


def test__open__nobody_there__project_error():
    from dbt_rfm.warehouse.snowflake import Snowflake

    settings = {"account": "acme", "user": "u", "password": "p", "host": "127.0.0.1", "port": 9, "protocol": "http"}
    with pytest.raises(ProjectError, match="acme does not let us in"):
        Snowflake.open({**settings, "connect_timeout": 1})


def test__connection_arguments__profile__role_warehouse_tag_and_session():
    given = connection_arguments(
        {"account": "a", "user": "u", "password": "p", "role": "WORKER", "warehouse": "WH", "threads": 4}
    )
    assert (given["role"], given["warehouse"], given["autocommit"]) == ("WORKER", "WH", True)
    assert "threads" not in given
    assert given["session_parameters"]["QUERY_TAG"] == "dbt-rfm"
    assert given["session_parameters"]["QUOTED_IDENTIFIERS_IGNORE_CASE"] is False
    assert connection_arguments({"query_tag": "nightly"})["session_parameters"]["QUERY_TAG"] == "nightly"


@pytest.mark.parametrize("passphrase", [None, "a secret"])
def test__connection_arguments__private_key__one_that_the_connector_can_read(passphrase):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    hidden = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode()
    given = connection_arguments({"private_key": text, "private_key_passphrase": passphrase})
    auth = AuthByKeyPair(given["private_key"], given.get("private_key_passphrase"))
    auth.prepare(account="acme", user="worker")
    assert auth.assertion_content


def test__connection_arguments__key_file_and_tokens__under_the_names_of_the_connector():
    by_file = connection_arguments({"private_key_path": "/keys/k.p8", "private_key_passphrase": "x"})
    assert (by_file["private_key_file"], by_file["private_key_file_pwd"]) == ("/keys/k.p8", "x")
    token = connection_arguments({"authenticator": "jwt", "token": "t"})
    assert (token["authenticator"], token["token"]) == ("oauth", "t")
    with pytest.raises(ProjectError, match="OAuth"):
        connection_arguments({"authenticator": "oauth", "token": "t", "oauth_client_secret": "s"})
