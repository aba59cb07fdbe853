"""A dbt project on disk, for the command line and the worker: its folders, its graph, its manifest, its warehouse.

In: a directory. Out: a Project. Only what is needed is read, and only `env_var()` and `var()` are rendered; the rest
of dbt's configuration does not matter once `target/manifest.json` is there. Relative paths start at the project, which
is where dbt runs. Look-up order of profiles.yml: given, DBT_PROFILES_DIR, the project, ~/.dbt.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dbt_rfm.errors import ProjectError, did_you_mean

if TYPE_CHECKING:
    from typing import Self

    from dbt_rfm.warehouse.base import Warehouse

    class OpenWarehouse(Warehouse, Protocol):
        """A warehouse with a connection of its own, which it gives back."""

        def close(self) -> None: ...
        def __enter__(self) -> Self: ...
        def __exit__(self, *error: object) -> None: ...


DUCKDB, SNOWFLAKE = "duckdb", "snowflake"
ADAPTERS = (DUCKDB, "postgres", SNOWFLAKE)
_VARS = "Write it as for dbt: --vars '{name: value}'."
_PLACE = ("dbname", "database", "schema")
_REMOTE = ("md:", "motherduck:", "http://", "https://", "s3://", "ducklake:")


#: Database, None where the target has but one, and schema.
Place = tuple[str | None, str]


@dataclass(frozen=True)
class Project:
    """`output` is the chosen target as in profiles.yml, credentials included: it is never shown. `database` is a DuckDB
    target's file, `attached` further files by catalog name."""

    name: str
    root: Path
    target_path: Path
    target: str
    schema: str
    adapter: str = DUCKDB
    output: Mapping[str, Any] = field(default_factory=dict, repr=False)
    database: Path | None = None
    attached: Mapping[str, Path] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Place] = field(default_factory=dict)  # the profile's other targets, as far as can be told

    @property
    def graph(self) -> Any:
        """The var dbt_rfm_graph."""
        return self._variable("dbt_rfm_graph")

    @property
    def catalog(self) -> str | None:
        """The database of the target, as dbt names it in relations; None: the one connected to."""
        return _place(self.output, self.adapter)[0]

    @property
    def rfm_schema(self) -> str:
        """The var dbt_rfm_schema, where registries and histories are; '': beside each prediction."""
        return plain_name(str(self._variable("dbt_rfm_schema") or ""), self.adapter)

    def _variable(self, name: str) -> Any:
        return _scoped(self.variables, self.name, name)

    def manifest(self) -> dict[str, Any]:
        """`target/manifest.json`. Raises ProjectError if there is none yet."""
        path = self.target_path / "manifest.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ProjectError(f"there is no {path}", hint=f"Run `dbt parse` in {self.root}.") from error
        except ValueError as error:
            raise ProjectError(f"{path} is not JSON: {error}", hint="Run `dbt parse` again.") from error
        if not isinstance(manifest, dict) or "nodes" not in manifest:
            raise ProjectError(f"{path} is no dbt manifest", hint="Run `dbt parse` again.")
        return manifest

    def require_own(self, manifest: Mapping[str, Any]) -> None:
        """Raises ProjectError if the manifest was made for another target of the profile, whose relations it names.

        dbt does not write which; but where a model or seed has no schema of its own, it goes to that of the target.
        """
        nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
        plain = [node for node in nodes if not (node["config"].get("schema") or node["config"].get("database"))]
        named = {(node.get("database"), node["schema"]) for node in plain}
        found = {(plain_name(d, self.adapter) if d else None, plain_name(s, self.adapter)) for d, s in named}
        if not found or _is_among((self.catalog, self.schema), found):
            return
        for other, place in self.others.items():
            if _is_among(place, found):
                raise ProjectError(
                    f"{self.target_path / 'manifest.json'} was made for target {other}, and {self.target} is asked for",
                    hint=f"Run `dbt parse --target {self.target}`, or leave out --target.",
                )

    def open(self, *, read_only: bool = True) -> OpenWarehouse:
        """The target's warehouse, as its user. Raises ProjectError if it cannot be reached or another process holds it.

        `read_only` is for DuckDB, where writing takes the file for itself; elsewhere the role's grants decide.
        """
        # The drivers are extras, and only the one of this target has to be there.
        if self.adapter == "postgres":
            from dbt_rfm.warehouse.postgres import Postgres

            return Postgres.open(self.output)
        if self.adapter == SNOWFLAKE:
            from dbt_rfm.warehouse.snowflake import Snowflake

            return Snowflake.open(self.output)
        from dbt_rfm.warehouse.duckdb import DuckDB

        assert self.database is not None, "a DuckDB target has a file"
        return DuckDB.open(self.database, read_only=read_only, attach=self.attached, search_path=self.root)


def variable(root: Path, given: Mapping[str, Any], name: str) -> Any:
    """A var of the project in `root`, where dbt was given some on its command line."""
    config = _read_yaml(root / "dbt_project.yml")
    return _scoped(_with_given(config.get("vars") or {}, given), str(config.get("name")), name)


def plain_name(name: str, adapter: str) -> str:
    """A name that dbt does not quote, as the rest of the package spells it: Snowflake makes no difference of case."""
    return name.lower() if adapter == SNOWFLAKE else name


def find_project(
    directory: Path | None = None,
    *,
    profiles_dir: Path | None = None,
    target: str | None = None,
    variables: str | None = None,
) -> Project:
    """The project in `directory` or the nearest folder above it; `variables` is what dbt takes as `--vars`.

    Raises ProjectError with what to do.
    """
    root = _root((directory or Path.cwd()).resolve())
    config = _read_yaml(root / "dbt_project.yml")
    declared = _mapping(config.get("vars"), f"vars in {root / 'dbt_project.yml'}")
    known = _with_given(declared, _given(variables))
    render = _renderer(known)
    named = os.environ.get("DBT_PROFILE") or render(config.get("profile"), "profile in dbt_project.yml")
    path = _profiles_file(root, profiles_dir)
    outputs, chosen = _outputs(path, named, target or os.environ.get("DBT_TARGET"), render)
    where = f"target {chosen} of profile {named}"
    output = _rendered(_mapping(outputs[chosen], f"{where} in {path}"), where, render)
    adapter = _adapter(output, chosen)
    return Project(
        name=str(config.get("name") or root.name),
        root=root,
        target_path=_target_path(root, config, render),
        target=chosen,
        schema=_place(output, adapter)[1],
        adapter=adapter,
        output=output,
        database=_database(root, output, chosen) if adapter == DUCKDB else None,
        attached=_attached(root, output) if adapter == DUCKDB else {},
        variables=known,
        others=dict(_others(outputs, chosen, adapter, render)),
    )


def _given(variables: str | None) -> Mapping[str, Any]:
    # Only who gives some needs YAML here.
    import yaml

    try:
        return _mapping(yaml.safe_load(variables or ""), "--vars")
    except yaml.YAMLError as error:
        raise ProjectError(f"--vars is not YAML: {str(error).splitlines()[0]}", hint=_VARS) from error


def _with_given(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Vars of dbt_project.yml and of the command line, which come before every scope."""
    kept = {
        name: {key: item for key, item in value.items() if key not in given} if isinstance(value, Mapping) else value
        for name, value in declared.items()
    }
    return {**kept, **given}


def _scoped(variables: Mapping[str, Any], project: str, name: str) -> Any:
    """A var as dbt would look it up: the project's own scope first."""
    for scope in (variables.get(project), variables, variables.get("dbt_rfm")):
        if isinstance(scope, Mapping) and scope.get(name):
            return scope[name]
    return None


def _root(directory: Path) -> Path:
    for folder in (directory, *directory.parents):
        if (folder / "dbt_project.yml").is_file():
            return folder
    raise ProjectError(
        f"there is no dbt_project.yml in {directory} or above it",
        hint="Run this inside a dbt project, or name it with --project-dir.",
    )


def _target_path(root: Path, config: Mapping[str, Any], render: Any) -> Path:
    given = os.environ.get("DBT_TARGET_PATH") or render(config.get("target-path"), "target-path") or "target"
    return root / str(given)


def _profiles_file(root: Path, given: Path | None) -> Path:
    explicit = given or os.environ.get("DBT_PROFILES_DIR")
    folders = [Path(explicit).expanduser()] if explicit else [root, Path.home() / ".dbt"]
    for folder in folders:
        if (folder / "profiles.yml").is_file():
            return folder / "profiles.yml"
    raise ProjectError(
        f"there is no profiles.yml in {' or '.join(map(str, folders))}",
        hint="Put one there, or name its folder with --profiles-dir.",
    )


def _outputs(path: Path, profile: str | None, target: str | None, render: Any) -> tuple[Mapping[str, Any], str]:
    """(all targets of the profile as they are written, the name of the one that is meant)"""
    profiles = _read_yaml(path)
    if profile not in profiles:
        known = [name for name in profiles if name != "config"]
        named = f"no profile {profile}" if profile else "no profile, since dbt_project.yml names none"
        raise ProjectError(f"{path} has {named}", hint=did_you_mean(profile or "", known))
    entry = _mapping(profiles[profile], f"profile {profile} in {path}")
    outputs = _mapping(entry.get("outputs"), f"outputs of profile {profile} in {path}")
    chosen = target or render(entry.get("target"), f"target of profile {profile}") or "default"
    if chosen not in outputs:
        raise ProjectError(
            f"profile {profile} has no target {chosen}", where=str(path), hint=did_you_mean(chosen, outputs)
        )
    return outputs, chosen


def _others(outputs: Mapping[str, Any], chosen: str, adapter: str, render: Any) -> Iterator[tuple[str, Place]]:
    """Where the other targets are; their variables may not be set here, and then nobody can tell."""
    for name, output in outputs.items():
        if name == chosen or not isinstance(output, Mapping) or output.get("type") != adapter:
            continue
        with suppress(ProjectError):
            yield name, _place(_rendered({key: output.get(key) for key in _PLACE}, f"target {name}", render), adapter)


def _place(output: Mapping[str, Any], adapter: str) -> Place:
    """A target without a schema is in main."""
    database = output.get("dbname") or output.get("database")
    schema = plain_name(str(output.get("schema") or "main"), adapter)
    return (plain_name(str(database), adapter) if database else None), schema


def _is_among(place: Place, found: set[Place]) -> bool:
    database, schema = place
    return place in found or (database is None and schema in {s for _, s in found})


def _adapter(output: Mapping[str, Any], target: str) -> str:
    adapter = str(output.get("type"))
    if adapter not in ADAPTERS:
        raise ProjectError(
            f"target {target} is of type {adapter}; dbt-rfm works on {', '.join(ADAPTERS[:-1])} and {ADAPTERS[-1]}",
            hint="Choose another target with --target.",
        )
    return adapter


def _database(root: Path, output: Mapping[str, Any], target: str) -> Path:
    path = str(output.get("path") or ":memory:")
    if path.startswith(":memory:"):
        raise ProjectError(
            f"target {target} keeps its database in memory, and it is gone when dbt ends",
            hint="Set `path: some_file.duckdb` in the profile.",
        )
    if path.startswith(_REMOTE):
        raise ProjectError(
            f"target {target} is at {path}; the command line reads DuckDB files only",
            hint="Choose a target with a file of its own: --target.",
        )
    return root / Path(path).expanduser()


def _attached(root: Path, output: Mapping[str, Any]) -> dict[str, Path]:
    """DuckDB files under `attach:`; databases of other kinds are dbt's business."""
    files = {}
    for entry in output.get("attach") or ():
        entry = _mapping(entry, "an entry of attach")
        path = str(entry.get("path") or "")
        if entry.get("type") in (None, DUCKDB) and path and not path.startswith(_REMOTE):
            file = root / Path(path).expanduser()
            files[str(entry.get("alias") or file.stem)] = file
    return files


def _rendered(value: Any, where: str, render: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rendered(item, where, render) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, where, render) for item in value]
    return render(value, where)


def _renderer(variables: Mapping[str, Any]) -> Any:
    """A function (value, where) that renders a text holding Jinja; everything else is returned as it is."""
    # Only projects whose files hold Jinja need it.
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    def env_var(name: str, default: str | None = None) -> str:
        value = os.environ.get(name, default)
        if value is None:
            raise ProjectError(f"environment variable {name} is not set", hint=f"export {name}=…")
        return value

    def var(name: str, default: Any = None) -> Any:
        if name not in variables and default is None:
            raise ProjectError(f"var {name} is not set", hint="Set it under vars: in dbt_project.yml.")
        return variables.get(name, default)

    environment = SandboxedEnvironment(undefined=StrictUndefined)
    environment.globals.update(env_var=env_var, var=var)
    environment.filters.update({name: lambda value: value for name in ("as_text", "as_native", "as_bool", "as_number")})

    def render(value: Any, where: str) -> Any:
        if not isinstance(value, str) or "{" not in value:
            return value
        try:
            return environment.from_string(value).render()
        except ProjectError as error:
            raise ProjectError(error.problem, where=where, hint=error.hint) from error
        except TemplateError as error:
            raise ProjectError(
                f"{value} cannot be rendered: {error}", where=where, hint="Only env_var() and var() are known here."
            ) from error

    return render


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    """What stands there as a mapping; nothing is an empty one."""
    if value is not None and not isinstance(value, Mapping):
        raise ProjectError(f"{what} is {str(value)[:40]!r}, expected a mapping")
    return value or {}


def _read_yaml(path: Path) -> dict[str, Any]:
    # Only commands that look for a project read YAML.
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ProjectError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(content, dict):
        raise ProjectError(f"{path} holds no settings")
    return content
