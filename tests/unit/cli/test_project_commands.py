"""schema, versions, rollback and step on a small project; what is said where a project is not as expected."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions import history
from dbt_rfm.versions.registry import Release
from dbt_rfm.warehouse.duckdb import DuckDB

TARGET = JobTarget("shop", "main", "churn")


@pytest.fixture
def published(own_project: Path) -> Path:
    """A project whose prediction `churn` has two versions."""
    with DuckDB.open(own_project / "shop.duckdb", read_only=False) as warehouse:
        for probability in (0.25, 0.75):
            _publish(warehouse, probability)
    return own_project


def _publish(warehouse: DuckDB, probability: float, target: JobTarget = TARGET) -> None:
    moment = datetime(2024, 12, 1)
    rows = {
        "customer_id": [1],
        "anchor_time": pa.array([moment], pa.timestamp("us")),
        "probability": [probability],
        "prediction": [probability >= 0.5],
    }
    release = Release(
        run_id="run",
        query="PREDICT …",
        kind=TaskKind.BINARY,
        schema_fingerprint="",
        rfm_model="rfm-1",
        checkpoint_sha="",
        snapshot_sha="",
        anchor_time=moment,
        package_version="0",
        backtest_metric="auroc",
        backtest_value=0.875,
        baseline_value=0.5,
        beats_baseline=True,
    )
    history.publish(warehouse, target, pa.table(rows), release, hold=False, contract=Contract())


def _served(project: Path) -> float:
    with duckdb.connect(str(project / "shop.duckdb"), read_only=True) as database:
        return database.execute("select probability from churn").fetchall()[0][0]


def test__schema__project__shows_keys_links_and_times(command, project: Path) -> None:
    code, shown, _ = command("schema", "--project-dir", project)
    assert code == 0
    assert "-> customers.customer_id" in shown and "ordered_at" in shown and "time" in shown


def test__schema__mermaid__is_a_diagram_and_nothing_else(command, project: Path) -> None:
    _, shown, _ = command("schema", "--mermaid", "--project-dir", project)
    assert shown.startswith("erDiagram\n") and "customers ||--o{ orders" in shown and "note:" not in shown


def test__schema__validate_duplicate_keys__exit_code_is_1(command, own_project: Path) -> None:
    with duckdb.connect(str(own_project / "shop.duckdb")) as database:
        database.execute("insert into customers select * from customers where customer_id = 3")
    code, shown, _ = command("schema", "--validate", "--project-dir", own_project)
    assert code == 1 and "error:" in shown and "3" in shown


def test__versions__published__newest_first_with_backtest(command, published: Path) -> None:
    code, shown, _ = command("versions", "--project-dir", published)
    lines = [line for line in shown.splitlines() if "churn" in line]
    assert code == 0 and len(lines) == 2
    assert "serving" in lines[0] and "retired" in lines[1] and "0.875" in lines[0]


def test__versions__prediction_in_an_attached_database__is_found(command, own_project: Path) -> None:
    manifest, attached = own_project / "target" / "manifest.json", "attach: [{path: other.duckdb, alias: other}]"
    found = json.loads(manifest.read_text())
    found["nodes"]["model.shop.churn"].update({"database": "other", "schema": "apart"})
    manifest.write_text(json.dumps(found))
    profiles = own_project / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("schema: main", f"schema: main, {attached}"))
    with duckdb.connect(str(own_project / "other.duckdb")) as database:
        database.execute("create schema apart")
    with DuckDB.open(own_project / "other.duckdb", read_only=False) as warehouse:
        _publish(warehouse, 0.25, JobTarget("other", "apart", "churn"))

    code, shown, _ = command("versions", "--project-dir", own_project)

    assert code == 0 and "churn" in shown


def test__versions__model_with_an_alias__is_found_by_either_name(command, published: Path) -> None:
    manifest = published / "target" / "manifest.json"
    found = json.loads(manifest.read_text())
    found["nodes"]["model.shop.churn"]["name"] = "leaving"
    manifest.write_text(json.dumps(found))
    by_name, by_alias = (command("versions", name, "--project-dir", published) for name in ("leaving", "churn"))
    assert by_name == by_alias and by_name[0] == 0


def test__versions__unknown_model__names_the_nearest(command, published: Path) -> None:
    code, _, error = command("versions", "chrn", "--project-dir", published)
    assert code == 1 and "Did you mean churn?" in error


def test__versions__nothing_published__says_what_to_do(command, project: Path) -> None:
    code, _, error = command("versions", "--project-dir", project)
    assert code == 1 and "dbt build" in error


def test__rollback__served_table__is_the_older_version(command, published: Path) -> None:
    assert _served(published) == 0.75
    code, shown, _ = command("rollback", "churn", "--project-dir", published)
    assert (code, shown.strip()) == (0, "churn serves version 1 again")
    assert _served(published) == 0.25


def test__rollback__version_that_never_was__leaves_everything(command, published: Path) -> None:
    code, _, error = command("rollback", "churn", "--version", "9", "--project-dir", published)
    assert code == 1 and "no version 9" in error and "Versions: 2, 1" in error
    assert _served(published) == 0.75


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ("dbt_project.yml", "--project-dir"),
        ("profiles.yml", "--profiles-dir"),
        ("target/manifest.json", "dbt parse"),
        ("shop.duckdb", "dbt build"),
    ],
)
def test__project_lacks_something__says_what_to_do(
    command, own_project: Path, monkeypatch: pytest.MonkeyPatch, missing: str, hint: str
) -> None:
    monkeypatch.setenv("HOME", str(own_project / "home"))
    (own_project / missing).unlink()
    code, shown, error = command("schema", "--project-dir", own_project)
    assert code == 1 and shown == "" and hint in error


@pytest.mark.usefixtures("averages")
def test__step__bundle_of_a_run__gives_the_predictions_of_that_run(command, project: Path, tmp_path: Path) -> None:
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.pipeline import answer
    from dbt_rfm.snapshot import write_bundle

    query = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
    with open_project(project, None, None) as opened:
        run = answer(opened.job(query), opened.warehouse)
    write_bundle(run.snapshot, tmp_path / "bundle")
    code, shown, _ = command("step", tmp_path / "bundle", tmp_path / "out.parquet")
    assert code == 0 and "60 rows as of 2024-12-2" in shown and "backtest on 60 rows" in shown
    assert pq.read_table(tmp_path / "out.parquet").equals(run.predictions)


@pytest.mark.usefixtures("averages")
def test__answer__quick__is_told_less_of_the_same_customer(project: Path) -> None:
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.pipeline import answer

    query = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
    with open_project(project, None, None) as opened:
        slow, quick = (answer(opened.job(query), opened.warehouse, entity_ids=(7,), quick=q) for q in (False, True))
    assert quick.predictions["customer_id"].to_pylist() == slow.predictions["customer_id"].to_pylist() == [7]
    assert len(quick.snapshot.features_meta) < len(slow.snapshot.features_meta)


def test__step__no_bundle__says_so(command, tmp_path: Path) -> None:
    code, _, error = command("step", tmp_path / "nothing", tmp_path / "out.parquet")
    assert code == 1 and "unexpected" not in error and "nothing" in error


def _with_targets(project: Path, others: str) -> Path:
    dev = "dev: {type: duckdb, path: shop.duckdb, schema: main}"
    (project / "profiles.yml").write_text(f"shop: {{target: dev, outputs: {{{dev}, {others}}}}}\n")
    return project


@pytest.mark.parametrize("asked", [("versions",), ("rollback", "churn"), ("schema",)])
def test__target__manifest_made_for_another__not_taken_for_its_own(published, command, asked):
    """Else a rollback of production would roll development back."""
    _with_targets(published, "prod: {type: duckdb, path: shop.duckdb, schema: prod}")
    code, _, said = command(*asked, "--project-dir", published, "--target", "prod")
    assert code == 1
    assert "was made for target dev, and prod is asked for" in said.replace("\n", " ")
    assert "dbt parse --target prod" in said
    assert _served(published) == 0.75


def test__target__variables_of_another_not_set__no_matter(published, command):
    _with_targets(published, "prod: {type: duckdb, path: shop.duckdb, schema: \"{{ env_var('RFM_NOWHERE') }}\"}")
    code, out, _ = command("versions", "--project-dir", published)
    assert (code, "churn" in out) == (0, True)


def test__target__every_model_with_a_schema_of_its_own__nobody_can_tell(published, command):
    _with_targets(published, "prod: {type: duckdb, path: shop.duckdb, schema: prod}")
    path = published / "target" / "manifest.json"
    manifest = json.loads(path.read_text())
    for node in manifest["nodes"].values():
        node["config"]["schema"] = "main"
    path.write_text(json.dumps(manifest))
    code, out, _ = command("versions", "--project-dir", published, "--target", "prod")
    assert (code, "churn" in out) == (0, True)
