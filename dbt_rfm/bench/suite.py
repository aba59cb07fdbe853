"""Read a suite folder: databases as Parquet with a dataset.yml that declares keys, links, times and tasks.

In: a folder with one folder per database. Out: frozen descriptions, and a `Warehouse` holding a database's tables with
its RelationalSchema; nothing is inferred there except the columns' semantic types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_rfm.errors import ProjectError, did_you_mean

if TYPE_CHECKING:
    from dbt_rfm.job import Job
    from dbt_rfm.schema.types import RelationalSchema
    from dbt_rfm.warehouse.base import Warehouse

DATASET_FILE = "dataset.yml"


@dataclass(frozen=True)
class SuiteTable:
    name: str
    file: Path
    primary_key: str
    time_column: str | None


@dataclass(frozen=True)
class SuiteTask:
    """`delay_days` after its anchor a label is known: the horizon, or what the dataset says of an attribute.

    `attribute` (table, column): the target is a column of the entity's own row, which becomes known that much later.
    """

    dataset: str
    name: str
    kind: str
    query: str
    entity_table: str
    entity_column: str
    file: Path
    delay_days: int
    attribute: tuple[str, str] | None = None

    @property
    def title(self) -> str:
        return f"{self.dataset}.{self.name}"


@dataclass(frozen=True)
class Dataset:
    name: str
    val_timestamp: datetime
    test_timestamp: datetime
    tables: tuple[SuiteTable, ...]
    links: tuple[tuple[str, str, str, str], ...]  # child, its column, parent, its column
    tasks: tuple[SuiteTask, ...]


def read_suite(folder: Path, datasets: tuple[str, ...] = (), tasks: tuple[str, ...] = ()) -> list[Dataset]:
    """The databases of a suite folder in order of name, narrowed to the given names; empty = all.

    `tasks` are names of tasks, or dataset.task. Raises ProjectError for a folder without databases or unknown names.
    """
    files = sorted(folder.glob(f"*/{DATASET_FILE}"))
    if (folder / DATASET_FILE).is_file():
        files = [folder / DATASET_FILE]
    if not files:
        raise ProjectError(f"{folder} holds no database: expected */{DATASET_FILE} in it")
    found = {each.name: each for each in map(read_dataset, files)}
    for name in datasets:
        if name not in found:
            raise ProjectError(f"no database {name} in {folder}", hint=did_you_mean(name, found))
    chosen = [found[name] for name in found if not datasets or name in datasets]
    return _narrow(chosen, tasks) if tasks else chosen


def _narrow(datasets: list[Dataset], wanted: tuple[str, ...]) -> list[Dataset]:
    known = [t for d in datasets for t in d.tasks]
    for name in wanted:
        if not any(name in (t.name, t.title) for t in known):
            raise ProjectError(f"no task {name}", hint=did_you_mean(name, {t.title for t in known}))
    kept = [replace(d, tasks=tuple(t for t in d.tasks if t.name in wanted or t.title in wanted)) for d in datasets]
    return [d for d in kept if d.tasks]


def read_dataset(file: Path) -> Dataset:
    """Raises ProjectError where the file lacks something."""
    import yaml

    try:
        raw = yaml.safe_load(file.read_text())
        return _dataset(raw, file.parent)
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise ProjectError(
            f"cannot be read as a database of a suite: {type(error).__name__} {error}",
            where=str(file),
            hint="It names tables (file, primary_key, time_column), links (a.x->b.y), tasks (kind, entity, query, "
            "file, horizon_days) and the val and test timestamps.",
        ) from error


def _dataset(raw: dict[str, Any], folder: Path) -> Dataset:
    tables = tuple(
        SuiteTable(name, folder / t["file"], t["primary_key"], t.get("time_column"))
        for name, t in raw["tables"].items()
    )
    links = []
    for text in raw["links"]:
        child, parent = (side.strip().split(".") for side in text.split("->"))
        links.append((child[0], child[1], parent[0], parent[1]))
    return Dataset(
        name=raw["name"],
        val_timestamp=datetime.fromisoformat(str(raw["val_timestamp"])),
        test_timestamp=datetime.fromisoformat(str(raw["test_timestamp"])),
        tables=tables,
        links=tuple(links),
        tasks=tuple(_task(raw["name"], name, t, folder) for name, t in raw["tasks"].items()),
    )


def _task(dataset: str, name: str, raw: dict[str, Any], folder: Path) -> SuiteTask:
    table, column = raw["entity"].split(".")
    return SuiteTask(
        dataset=dataset,
        name=name,
        kind=raw["kind"],
        query=raw["query"],
        entity_table=table,
        entity_column=column,
        file=folder / raw["file"],
        delay_days=int(raw.get("label_delay_days", raw.get("horizon_days", 0))),
        attribute=tuple(raw["attribute"].split(".")) if "attribute" in raw else None,
    )


def load(dataset: Dataset, warehouse: Warehouse) -> RelationalSchema:
    """Load the tables as session tables of the warehouse and declare their schema."""
    load_tables(dataset, warehouse)
    return declare(dataset, warehouse)


def load_tables(dataset: Dataset, warehouse: Warehouse) -> None:
    from sqlglot import exp

    for table in dataset.tables:
        rows = exp.select("*").from_(exp.func("read_parquet", exp.Literal.string(str(table.file))))
        warehouse.create_temporary(table.name, rows)


def job_of(dataset: Dataset, query: str = "") -> Job:
    """The dataset as a dbt project would describe it, its tables being those that `load` makes."""
    from dbt_rfm.job import Job, JobTable, JobTest

    tables = tuple(
        JobTable(
            alias=t.name,
            relation=f'"{t.name}"',
            unique_id=t.name,
            primary_key=(t.primary_key,),
            event_time=t.time_column,
        )
        for t in dataset.tables
    )
    tests = tuple(
        JobTest(
            name="relationships",
            column=child_column,
            kwargs={"field": parent_column},
            attached_node=child,
            depends_on=(child, parent),
        )
        for child, child_column, parent, parent_column in dataset.links
    )
    return Job(query=query, tables=tables, tests=tests)


def declare(dataset: Dataset, warehouse: Warehouse) -> RelationalSchema:
    """The schema as dataset.yml says it: typed as a project's would be, without keys, links or times we might guess."""
    from dbt_rfm.schema.from_job import schema_from_job

    schema = schema_from_job(job_of(dataset), warehouse)
    declared = {t.name: t.time_column for t in dataset.tables}
    timed = []
    for table in schema.tables:
        time = declared[table.name]
        spelled = table.column(time).name if time else None
        timed.append(replace(table, time_column=spelled, time_column_inferred=False))
    return replace(schema, tables=tuple(timed), links=tuple(link for link in schema.links if not link.inferred))
