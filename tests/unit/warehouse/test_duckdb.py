"""The DuckDB warehouse on a plain connection, on dbt-duckdb's wrapper and on files."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pyarrow as pa
import pytest
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper
from sqlglot import exp, parse_one

from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.warehouse.duckdb import DuckDB


def sql(text: str) -> exp.Expression:
    return parse_one(text, dialect="duckdb")


@pytest.fixture(params=["plain", "dbt"])
def warehouse(request):
    connection = duckdb.connect()
    connection.execute("create table orders as select range as order_id, range % 3 as customer_id from range(10)")
    return DuckDB(connection if request.param == "plain" else DuckDBCursorWrapper(connection.cursor()))


def test__describe__relation_and_subquery__names_and_types(warehouse):
    assert warehouse.describe('"memory"."main"."orders"') == [("order_id", "BIGINT"), ("customer_id", "BIGINT")]
    assert warehouse.describe("(select 1::integer as a from orders where false limit 0)") == [("a", "INTEGER")]


@pytest.mark.parametrize("relation", ["orders; drop table orders", "select", "(select 1"])
def test__describe__no_relation__refused_and_nothing_runs(warehouse, relation):
    with pytest.raises(ProjectError):
        warehouse.describe(relation)
    assert len(warehouse.describe("orders")) == 2


def test__query__select__arrow_table(warehouse):
    got = warehouse.query(sql("select customer_id, count(*) as n from orders group by 1 order by 1"))
    assert isinstance(got, pa.Table)
    assert got.to_pydict() == {"customer_id": [0, 1, 2], "n": [4, 3, 3]}


def test__query__no_rows__keeps_types(warehouse):
    got = warehouse.query(sql("select order_id from orders where false"))
    assert got.num_rows == 0
    assert got.schema.field("order_id").type == pa.int64()


def test__query__bad_value_midway__data_error_without_the_value(warehouse):
    text = "select cast(case when range = 90000 then 'secret' else '1' end as integer) as v from range(100000)"
    with pytest.raises(DataError) as error:
        warehouse.query(sql(text))
    assert "secret" not in str(error.value)


def test__create_temporary__twice__replaced_and_private(warehouse):
    warehouse.create_temporary("dbt_rfm_t", sql("select 1 as a"))
    warehouse.create_temporary("dbt_rfm_t", sql("select 2 as b"))
    assert warehouse.query(sql('select * from "dbt_rfm_t"')).to_pydict() == {"b": [2]}
    temporary = warehouse.query(sql("select temporary from duckdb_tables() where table_name = 'dbt_rfm_t'"))
    assert temporary.to_pydict() == {"temporary": [True]}


def test__load_temporary__quoted_name_and_types__rows_arrive(warehouse):
    rows = pa.table({"Größe": [1.5, None], "t": pa.array([0, 1], pa.timestamp("us"))})
    warehouse.load_temporary('odd "name"', rows)
    table = exp.Table(this=exp.to_identifier('odd "name"', quoted=True))
    assert warehouse.query(exp.select("*").from_(table)).to_pydict() == rows.to_pydict()
    assert warehouse.query(sql("select count(*) as n from duckdb_views() where view_name like 'odd%'")).to_pydict() == {
        "n": [0]
    }


def test__transaction__failure_inside__nothing_remains(warehouse):
    with pytest.raises(ZeroDivisionError), warehouse.transaction():
        warehouse.execute(sql("insert into orders values (100, 1)"))
        raise ZeroDivisionError
    assert warehouse.query(sql("select count(*) as n from orders")).to_pydict() == {"n": [10]}


def test__transaction__failed_statement_inside__rolled_back_and_usable(warehouse):
    with pytest.raises(ProjectError), warehouse.transaction():
        warehouse.execute(sql("insert into orders values (100, 1)"))
        warehouse.execute(sql("insert into nowhere values (1)"))
    assert warehouse.query(sql("select count(*) as n from orders")).to_pydict() == {"n": [10]}


def test__transaction__nested__outer_decides(warehouse):
    with pytest.raises(ZeroDivisionError), warehouse.transaction():
        with warehouse.transaction():
            warehouse.execute(sql("insert into orders values (100, 1)"))
        raise ZeroDivisionError
    assert warehouse.query(sql("select count(*) as n from orders")).to_pydict() == {"n": [10]}


def test__errors__missing_table__candidate_and_what_to_do(warehouse):
    with pytest.raises(ProjectError, match=r"table order does not exist.*\n.*dbt build.*Did you mean orders\?"):
        warehouse.query(sql('select * from "order"'))


def test__errors__missing_column__project_error_in_one_line(warehouse):
    with pytest.raises(ProjectError, match="nope") as error:
        warehouse.query(sql("select nope from orders"))
    assert "LINE" not in str(error.value)


def test__errors__value_that_does_not_convert__data_error_without_the_value(warehouse):
    with pytest.raises(DataError) as error:
        warehouse.query(sql("select cast('secret 12' as integer)"))
    assert "secret" not in str(error.value)
    assert "12" not in str(error.value)


def test__open__file__reads_and_refuses_to_write(tmp_path):
    path = tmp_path / "shop.duckdb"
    with DuckDB.open(path, read_only=False) as writer:
        writer.execute(sql("create table a as select 1 as x"))
    with DuckDB.open(path) as reader:
        assert reader.query(sql('select * from "shop"."main"."a"')).to_pydict() == {"x": [1]}
        reader.create_temporary("dbt_rfm_t", sql("select 1 as y"))
        with pytest.raises(ProjectError, match="read-only"):
            reader.execute(sql("create table b as select 1 as x"))


def test__open__attached_file__reachable_by_its_name(tmp_path):
    for name in ("one", "two"):
        with DuckDB.open(tmp_path / f"{name}.duckdb", read_only=False) as writer:
            writer.execute(sql(f"create table t as select '{name}' as x"))
    with DuckDB.open(tmp_path / "one.duckdb", attach={"other": tmp_path / "two.duckdb"}) as reader:
        assert reader.query(sql('select x from "other"."main"."t"')).to_pydict() == {"x": ["two"]}


def test__open__relative_file_in_a_view__found_from_the_search_path(tmp_path):
    (tmp_path / "rows.csv").write_text("a\n7\n")
    connection = duckdb.connect(str(tmp_path / "db.duckdb"))
    connection.execute(f"set file_search_path = '{tmp_path}'")
    connection.execute("create view v as select * from 'rows.csv'")
    connection.close()
    with DuckDB.open(tmp_path / "db.duckdb", search_path=tmp_path) as reader:
        assert reader.query(sql("select a from v")).to_pydict() == {"a": [7]}


def test__open__no_file__says_build_first(tmp_path):
    with pytest.raises(ProjectError, match=r"no DuckDB file .*missing\.duckdb\n.*dbt build"):
        DuckDB.open(tmp_path / "missing.duckdb")
    assert not (tmp_path / "missing.duckdb").exists()


def test__open__other_file_kind__says_so(tmp_path):
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database " * 500)
    with pytest.raises(ProjectError, match="cannot be opened"):
        DuckDB.open(path)


def test__open__held_by_another_process__names_the_process(tmp_path):
    path = tmp_path / "held.duckdb"
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "ready\n"
        with pytest.raises(ProjectError, match=rf"open in another process \(PID {holder.pid}\)"):
            DuckDB.open(path)
    finally:
        holder.communicate("")


def test__open__same_process_other_mode__says_so(tmp_path):
    writer = DuckDB.open(tmp_path / "db.duckdb", read_only=False)
    with pytest.raises(ProjectError, match="already open in this process"):
        DuckDB.open(tmp_path / "db.duckdb")
    writer.close()


def test__query__long_statement__same_rows(warehouse):
    short = warehouse.query(sql("select order_id, customer_id from orders order by order_id"))
    padded = " and ".join(["order_id is not null"] * 400)
    assert warehouse.query(sql(f"select order_id, customer_id from orders where {padded} order by order_id")) == short


def test__query__long_statement__no_warning_of_duckdb_reaches_the_user():
    program = """
import duckdb
from sqlglot import parse_one
from dbt_rfm.warehouse.duckdb import DuckDB
text = "select 1 as a where " + " and ".join(["1 = 1"] * 2000)
assert len(DuckDB(duckdb.connect()).query(parse_one(text, dialect="duckdb"))) == 1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def _loops(warehouse: DuckDB) -> int:
    return warehouse.query(sql("select current_setting('nested_loop_join_threshold') as n")).column(0)[0].as_py()


def test__create_temporary__done_or_failed__leaves_the_settings_of_the_user(warehouse):
    warehouse._run("set nested_loop_join_threshold = 7")
    warehouse.create_temporary("few", sql("select current_setting('nested_loop_join_threshold') as n where 1 < 2"))
    assert warehouse.query(sql("select n from few")).column(0).to_pylist() == [128]
    assert _loops(warehouse) == 7
    with pytest.raises(DataError):
        warehouse.create_temporary("none", sql("select error('no') as n where 1 < 2"))
    assert _loops(warehouse) == 7


def test__query__a_block_of_features__leaves_the_settings_of_the_user(warehouse):
    warehouse._run("set nested_loop_join_threshold = 7")
    asked = "select current_setting('nested_loop_join_threshold') as n"
    assert warehouse.query(sql(asked + " where 1 = 1" + " and 1 = 1" * 100)).column(0).to_pylist() == [128]
    assert _loops(warehouse) == 7
    with pytest.raises(DataError):
        warehouse.query(sql("select error('no') as n where 1 = 1" + " and 1 = 1" * 100))
    assert _loops(warehouse) == 7


def test__create_temporary__settings_locked__makes_the_table_all_the_same(warehouse):
    warehouse._run("set lock_configuration = true")
    warehouse.create_temporary("few", sql("select 1 as n where 1 < 2"))
    assert warehouse.query(sql("select n from few")).column(0).to_pylist() == [1]
