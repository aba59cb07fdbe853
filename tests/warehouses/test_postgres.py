"""The Postgres warehouse on a real server: types, session tables, transactions, one state, errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.pipeline import understand
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.candidates import history_steps
from dbt_rfm.schema.validate import validate
from dbt_rfm.warehouse.postgres import Postgres


def sql(text: str) -> exp.Expression:
    return parse_one(text, dialect="postgres")


@pytest.fixture
def orders(postgres):
    postgres.execute(
        sql("create table orders as select x as order_id, x % 3 as customer_id from generate_series(0, 9) x")
    )
    return postgres


def test__describe__relation_and_subquery__names_and_types(orders):
    assert orders.describe('"public"."orders"') == [("order_id", "integer"), ("customer_id", "integer")]
    assert orders.describe("(select 1::bigint as a from orders where false limit 0) as q") == [("a", "bigint")]


def test__describe__types_of_postgres__as_it_names_them(postgres):
    postgres.execute(exp.Command(this="CREATE", expression="TYPE mood AS ENUM ('good', 'bad')"))
    postgres.execute(exp.Command(this="CREATE", expression="DOMAIN price AS numeric(10, 2)"))
    postgres.execute(
        exp.Command(
            this="CREATE",
            expression="TABLE t (m mood, p price, n numeric, v varchar(9), z timestamptz(3), d float8, a int[])",
        )
    )
    assert dict(postgres.describe("t")) == {
        "m": "enum",
        "p": "numeric(10,2)",
        "n": "numeric",
        "v": "character varying",
        "z": "timestamp with time zone",
        "d": "double precision",
        "a": "integer[]",
    }


@pytest.mark.parametrize("relation", ["orders; drop table orders", "select", "(select 1"])
def test__describe__no_relation__refused_and_nothing_runs(orders, relation):
    with pytest.raises(ProjectError):
        orders.describe(relation)
    assert len(orders.describe("orders")) == 2


def test__query__numeric__decimal_where_declared_or_whole_else_double(postgres):
    got = postgres.query(
        sql(
            "select 1.25::numeric(10, 2) as declared, 12345678901234567890::numeric as whole, avg(x) as mean, "
            "'nan'::numeric(5, 1) as missing from generate_series(1, 2) as x"
        )
    )
    assert got.schema.field("declared").type == pa.decimal128(10, 2)
    assert got.to_pylist() == [
        {"declared": Decimal("1.25"), "whole": Decimal("12345678901234567890"), "mean": 1.5, "missing": None}
    ]


def test__query__types_arrow_lacks__text(postgres):
    postgres.execute(exp.Command(this="CREATE", expression="TYPE mood AS ENUM ('good', 'bad')"))
    got = postgres.query(
        sql(
            "select 'good'::mood as m, '10.0.0.1'::inet as i, '{\"a\": 1}'::jsonb as j, "
            "'6f1ab4bc-4b9c-4c0c-8f0e-0f1a2b3c4d5e'::uuid as u, null::point as p"
        )
    )
    assert {str(t) for t in got.schema.types} == {"string"}
    assert got.to_pylist() == [
        {"m": "good", "i": "10.0.0.1/32", "j": '{"a": 1}', "u": "6f1ab4bc-4b9c-4c0c-8f0e-0f1a2b3c4d5e", "p": None}
    ]


def test__query__types_arrow_lacks_and_names_twice__every_column(postgres):
    rows = postgres.query(sql("select count(*), count(1), inet '10.0.0.1'"))
    assert [column.to_pylist() for column in rows.columns] == [[1], [1], ["10.0.0.1/32"]]


def test__query__char__without_what_fills_it_up(postgres):
    rows = postgres.query(sql("select 'ab'::char(5) as padded, 'ab  '::text as kept, null::char(2) as missing"))
    assert rows.to_pylist() == [{"padded": "ab", "kept": "ab  ", "missing": None}]


def test__query__time_with_zone__moment_in_utc_whatever_the_server_s_zone(postgres):
    got = postgres.query(sql("select '2024-03-01 00:30+02'::timestamptz::timestamp as t"))
    assert got.to_pydict() == {"t": [datetime(2024, 2, 29, 22, 30)]}


def test__query__no_rows__keeps_types(orders):
    got = orders.query(sql("select order_id from orders where false"))
    assert got.num_rows == 0
    assert got.schema.field("order_id").type == pa.int32()


def test__query__bad_value_midway__data_error_without_the_value(postgres):
    text = (
        "select cast(case when x = 90000 then 'secret' else '1' end as int) as v from generate_series(1, 100000) as x"
    )
    with pytest.raises(DataError) as error:
        postgres.query(sql(text))
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test__create_temporary__twice__replaced_and_private(postgres, postgres_output):
    postgres.create_temporary("dbt_rfm_t", sql("select 1 as a"))
    postgres.create_temporary("dbt_rfm_t", sql("select 2 as b"))
    assert postgres.query(sql('select * from "dbt_rfm_t"')).to_pydict() == {"b": [2]}
    with Postgres.open(postgres_output) as other, pytest.raises(ProjectError, match="does not exist"):
        other.query(sql('select * from "dbt_rfm_t"'))


def test__create_temporary__lasting_table_of_that_name__untouched(orders):
    orders.create_temporary("orders", sql("select 1 as a"))
    assert orders.query(sql("select count(*) as n from public.orders")).to_pydict() == {"n": [10]}


def test__load_temporary__quoted_name_and_types__rows_arrive(postgres):
    rows = pa.table(
        {
            "Größe": [1.5, None],
            "t": pa.array([0, 1], pa.timestamp("us")),
            "z": pa.array([0, None], pa.timestamp("us", "UTC")),
            "d": pa.array([Decimal("7"), None], pa.decimal128(38, 0)),
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(12, 2)),
            "nothing": pa.nulls(2),
            "word": pa.array(["a", "b"]).dictionary_encode(),
            "yes": [True, None],
        }
    )
    postgres.load_temporary('odd "name"', rows)
    table = exp.Table(this=exp.to_identifier('odd "name"', quoted=True))
    got = postgres.query(exp.select("*").from_(table))
    assert got.to_pylist() == rows.to_pylist()
    assert got["z"][0].as_py() == datetime(1970, 1, 1, tzinfo=UTC)
    assert got["price"].type == pa.decimal128(12, 2)


def test__load_temporary__no_rows__table_with_its_types(postgres):
    postgres.load_temporary("dbt_rfm_none", pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}))
    assert postgres.describe("dbt_rfm_none") == [("a", "bigint"), ("b", "text")]


def test__transaction__failure_inside__nothing_remains(orders):
    with pytest.raises(ZeroDivisionError), orders.transaction():
        orders.execute(sql("insert into orders values (100, 1)"))
        raise ZeroDivisionError
    assert orders.query(sql("select count(*) as n from orders")).to_pydict() == {"n": [10]}


def test__transaction__failed_statement_inside__rolled_back_and_usable(orders):
    with pytest.raises(ProjectError, match="table nowhere does not exist"), orders.transaction():
        orders.execute(sql("insert into orders values (100, 1)"))
        orders.execute(sql("insert into nowhere values (1)"))
    assert orders.query(sql("select count(*) as n from orders")).to_pydict() == {"n": [10]}


def test__transaction__nested__outer_decides(orders):
    with pytest.raises(ZeroDivisionError), orders.transaction():
        with orders.transaction():
            orders.execute(sql("insert into orders values (100, 1)"))
        raise ZeroDivisionError
    assert orders.query(sql("select count(*) as n from orders")).to_pydict() == {"n": [10]}


def test__one_state__others_commit_meanwhile__sees_the_same_rows_and_makes_session_tables(orders, postgres_output):
    counted = sql("select count(*) as n from orders")
    with orders.one_state([]):
        assert orders.query(counted).to_pydict() == {"n": [10]}
        with Postgres.open(postgres_output) as other:
            other.execute(sql("insert into orders values (100, 1)"))
        orders.create_temporary("dbt_rfm_counted", counted)
        assert orders.query(counted).to_pydict() == {"n": [10]}
    assert orders.query(counted).to_pydict() == {"n": [11]}
    assert orders.query(sql("select n from dbt_rfm_counted")).to_pydict() == {"n": [10]}


def test__errors__missing_table__candidate_and_what_to_do(orders):
    with pytest.raises(ProjectError, match=r"table order does not exist.*\n.*dbt build.*Did you mean orders\?"):
        orders.query(sql('select * from "order"'))


def test__errors__missing_column__project_error_in_one_line(orders):
    with pytest.raises(ProjectError) as error:
        orders.query(sql("select nope from orders"))
    assert str(error.value) == 'Postgres refuses this: column "nope" does not exist'


def test__errors__value_that_cannot_be_converted__not_repeated(postgres):
    with pytest.raises(DataError) as error:
        postgres.query(sql("select cast('secret' as integer)"))
    assert "secret" not in str(error.value)


def test__errors__no_right_to_read__names_table_and_grants(orders, postgres_output):
    denied = pytest.raises(ProjectError, match=r"permission denied for table orders\n.*pg_monitor.*operations\.md")
    # A role that every server has, and that may do what everybody may.
    with Postgres.open({**postgres_output, "role": "pg_monitor"}) as reader, denied:
        reader.query(sql("select * from orders"))


def test__tables__no_right_to_read__listed_all_the_same(orders, postgres_output):
    orders.execute(sql("create view seen as select 1 as x"))
    with Postgres.open({**postgres_output, "role": "pg_monitor"}) as reader:
        assert reader.tables(postgres_output["dbname"], "public") == {"orders": "BASE TABLE", "seen": "VIEW"}
        assert reader.tables(None, "public", "orders") == {"orders": "BASE TABLE"}
        assert reader.tables("another", "public") == reader.tables(None, "elsewhere") == {}


def test__has_schema__name__in_that_case_only(postgres):
    assert postgres.has_schema(None, "public")
    assert not postgres.has_schema(None, "Public")


@pytest.mark.parametrize(
    ("setting", "statement", "said"),
    [
        ("statement_timeout", "select pg_sleep(60)", "Raise statement_timeout for this role; if somebody cancelled it"),
        ("lock_timeout", "select * from orders", "Another session holds it"),
    ],
)
def test__errors__statement_that_is_ended__says_what_to_do(orders, postgres_output, setting, statement, said):
    with Postgres.open(postgres_output) as other, other.transaction():
        other.execute(exp.Command(this="LOCK", expression="TABLE orders"))
        orders.execute(sql(f"set {setting} = '50ms'"))
        with pytest.raises(ProjectError, match=said):
            orders.query(sql(statement))


def test__errors__connection_ended_by_the_server__says_it_is_gone(postgres, postgres_output):
    pid = postgres.query(sql("select pg_backend_pid() as pid"))["pid"][0].as_py()
    with Postgres.open(postgres_output) as other:
        other.query(sql(f"select pg_terminate_backend({pid})"))
    with pytest.raises(ProjectError, match="connection to Postgres is gone"):
        postgres.query(sql("select 1 as one"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"port": 1}, "Connection refused"),
        ({"user": "nobody_we_know"}, 'role "nobody_we_know" does not exist'),
        ({"dbname": "no_such_database"}, 'database "no_such_database" does not exist'),
        ({"sslmode": "require"}, "SSL"),
        ({"role": "no_such_role"}, "no role no_such_role"),
    ],
)
def test__open__cannot__one_line_why_and_no_password(postgres_output, wrong, message):
    with pytest.raises(ProjectError) as error:
        Postgres.open({**postgres_output, "password": "hunter2 '\\", **wrong})
    assert message in error.value.problem
    assert "\n" not in error.value.problem
    assert "hunter2" not in str(error.value)


def test__open__settings_of_dbt__role_and_search_path_hold(postgres, postgres_output):
    postgres.execute(exp.Command(this="CREATE", expression='SCHEMA "my shop"'))
    postgres.execute(sql('create table "my shop".orders as select 1 as a'))
    with Postgres.open({**postgres_output, "role": "pg_read_all_data", "search_path": '"my shop", public'}) as reader:
        assert reader.query(sql("select a from orders")).to_pydict() == {"a": [1]}
        assert reader.query(sql("select current_user as who")).to_pydict() == {"who": ["pg_read_all_data"]}


def test__open__settings_of_the_database__do_not_change_what_our_sql_means(postgres, postgres_output):
    name = postgres_output["dbname"]
    for setting in ("standard_conforming_strings = off", "default_transaction_isolation = 'serializable'"):
        postgres.execute(exp.Command(this="ALTER", expression=f"DATABASE {name} SET {setting}"))
    attack = "two\\nlines \\'; drop table orders; --"
    with Postgres.open(postgres_output) as fresh:
        text = fresh.query(exp.select(exp.alias_(exp.Literal.string(attack), "text")))["text"][0].as_py()
        level = fresh.query(sql("select current_setting('transaction_isolation') as level"))["level"][0].as_py()
    assert (text, level) == (attack, "read committed")


def test__order__text__by_bytes_as_in_the_other_warehouses(postgres):
    words = ["a", "B", "a|", "a%7C", "ab", "ä", "Z", "10", "9", None]
    postgres.load_temporary("words", pa.table({"word": words, "number": [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]}))
    plain = postgres.query(exp.Command(this="SELECT", expression="word FROM words ORDER BY word"))
    ordered = postgres.query(sql("select word from words order by word"))
    placed = postgres.query(sql("select word, row_number() over (order by word) as place, number from words"))
    in_bytes = [*sorted((w for w in words if w), key=str.encode), None]
    assert plain["word"].to_pylist() != in_bytes, "this server sorts by bytes anyway, so the test would show nothing"
    assert ordered["word"].to_pylist() == in_bytes
    assert [row["word"] for row in sorted(placed.to_pylist(), key=lambda row: row["place"])] == in_bytes
    by_number = postgres.query(sql("select number from words order by number"))
    assert by_number["number"].to_pylist() == list(range(1, 11))


def test__greatest__something_unknown__unknown(postgres):
    values = [exp.cast(exp.Null(), "int"), exp.Literal.number(1)]
    for function in (exp.Greatest, exp.Least):
        select = exp.select(function(this=values[0].copy(), expressions=[values[1].copy()]).as_("v"))
        assert postgres.query(select).to_pydict() == {"v": [None]}


@pytest.mark.parametrize("key", ["md5(({})::text)::uuid", "decode(md5(({})::text), 'hex')", "inet '10.0.0.0' + ({})"])
def test__keys__without_a_smallest_or_a_type_of_arrow__are_grouped_checked_and_asked_for(postgres, key):
    cards = f"select {key.format('i')} as card_id, i % 3 as kind from generate_series(1, 20) as i"
    postgres.execute(sql(f"create table cards as {cards}"))
    postgres.execute(
        sql(
            f"create table payments as select {key.format('i + 1000')} as payment_id, "
            f"{key.format('i % 25 + 1')} as card_id, "
            "timestamp '2024-01-01' + i * interval '5 hours' as paid_at, (i * 7 % 11)::double precision as amount, "
            "case when i < 300 then i % 4 = 0 end as is_fraud from generate_series(1, 320) as i"
        )
    )
    tables = (
        JobTable("cards", "cards", "model.shop.cards", primary_key=("card_id",)),
        JobTable("payments", "payments", "model.shop.payments", primary_key=("payment_id",), event_time="paid_at"),
    )
    pointing = {"to": "ref('cards')", "field": "card_id"}
    test = JobTest("relationships", "card_id", pointing, "model.shop.payments", tuple(t.unique_id for t in tables))
    query = "PREDICT payments.is_fraud FOR EACH payments.payment_id"
    known = understand(Job(query, tables, tests=(test,), options={"context_size": 50}), postgres)
    assert [str(f).partition(", e.g. ")[0] for f in validate(known.schema, postgres, entity="payments")] == [
        "warning: 61 of 320 payments.card_id find no cards.card_id"
    ]
    found = collect(known.task, known.schema, postgres, known.options)
    assert found.examples["split"].to_pylist().count("query") == 21
    assert any(feature.name.startswith("cards") for feature in found.features_meta)


def test__seconds__fractions__those_begun_as_in_duckdb(postgres):
    select = parse_one(
        "select date_diff('second', timestamp '2024-01-01 00:00:00.9', timestamp '2024-01-01 00:00:02.1') as s",
        dialect="duckdb",
    )
    assert postgres.query(select).to_pydict() == {"s": [2]}


def test__lists__rows_of_a_thousand_windows_ago__count_for_next_to_nothing(postgres):
    """Postgres has no number for e to the -1000, and would give no answer at all."""
    names, now, none = Names("x"), datetime(2026, 1, 1), pa.array([None], pa.timestamp("us"))
    once = {"happened": [now - timedelta(days=1000)], "known": [now - timedelta(days=1000)], "until": none, "n": [1]}
    since = {name: [now - timedelta(days=days)] for name, days in (("since_q", 0.25), ("since_1", 1), ("since_3", 3))}
    tables = {
        "interactions": {"entity": [1], "item": [7], **once},
        "moments": {"at": [now], **since, "days": [1.0]},
        "catalogue": {"at": [now], "item": [7], "born": none},
        "examples": {"example_id": [0], "as_of": [now], "entity": [1]},
    }
    for name, rows in tables.items():
        postgres.load_temporary(names(name), pa.table(rows))
    for step in history_steps(names, 0, 0):
        postgres.create_temporary(step.table, step.select)
    (found,) = postgres.query(sql(f"select occasions, recent from {names('history')}")).to_pylist()
    assert found["occasions"] == 1 and 0 < found["recent"] < 1e-300


@pytest.mark.parametrize("amount", ["1e200", "1e-200", "'-infinity'"])
def test__numbers__that_have_no_square__end_no_plan(postgres, amount):
    postgres.execute(sql("create table cards as select i as card_id from generate_series(1, 20) as i"))
    postgres.execute(
        sql(
            "create table payments as select i as payment_id, i % 20 + 1 as card_id, "
            f"case when i % 3 = 0 then {amount}::double precision else i % 7 end as amount, "
            "timestamp '2024-01-01' + i * interval '5 hours' as paid_at, "
            "case when i < 300 then i % 4 = 0 end as is_fraud from generate_series(1, 320) as i"
        )
    )
    tables = (
        JobTable("cards", "cards", "model.shop.cards", primary_key=("card_id",)),
        JobTable("payments", "payments", "model.shop.payments", primary_key=("payment_id",), event_time="paid_at"),
    )
    pointing = {"to": "ref('cards')", "field": "card_id"}
    test = JobTest("relationships", "card_id", pointing, "model.shop.payments", tuple(t.unique_id for t in tables))
    for query in (
        "PREDICT payments.is_fraud FOR EACH payments.payment_id",
        "PREDICT COUNT(payments.*, 0, 7, days) > 1 FOR EACH cards.card_id",
    ):
        known = understand(Job(query, tables, tests=(test,), options={"context_size": 50}), postgres)
        found = collect(known.task, known.schema, postgres, known.options, with_rows=False)
        of_amounts = [f.name for f in found.features_meta if ".amount.std." in f.name or f.name.endswith(".amount")]
        assert any(found.features[name].null_count < len(found.features) for name in of_amounts), query


STEPS = (
    "with steps as (select order_id, customer_id from public.orders), once as (select customer_id from steps), "
    "counted as (select customer_id, count(*) as n from once group by customer_id) "
    "select s.order_id, c.n, d.n as again from steps as s join counted as c on c.customer_id = s.customer_id "
    "join counted as d on d.customer_id = s.customer_id order by s.order_id limit 2"
)


def test__steps__read_more_than_once__same_rows_and_no_table_is_left(orders):
    expected = [{"order_id": 0, "n": 4, "again": 4}, {"order_id": 1, "n": 3, "again": 3}]
    orders.execute(sql("create table counted as select 1 as untouched"))
    orders.create_temporary("kept", sql(STEPS))
    asked = sql(STEPS)
    assert orders.query(asked).to_pylist() == expected
    assert orders.query(asked).to_pylist() == expected, "a query can be asked twice"
    assert orders.query(sql("select * from kept order by order_id")).to_pylist() == expected
    assert orders.query(sql("select * from counted")).to_pydict() == {"untouched": [1]}
    left = "select relname from pg_class where relpersistence = 't' and relkind = 'r'"
    assert orders.query(sql(left)).to_pydict() == {"relname": ["kept"]}


def test__steps__one_fails__no_table_is_left(orders):
    failing = (
        "with steps as (select order_id from orders) select 1 / (a.order_id - b.order_id) as x from steps a, steps b"
    )
    with pytest.raises(DataError, match="division by zero"):
        orders.query(sql(failing))
    left = "select count(*) as n from pg_class where relpersistence = 't' and relkind = 'r'"
    assert orders.query(sql(left)).to_pydict() == {"n": [0]}
