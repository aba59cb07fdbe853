"""A dbt project on disk: where things are, and what to do when they are not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dbt_rfm.errors import ProjectError
from dbt_rfm.project import find_project, variable

PROFILE = "shop: {target: dev, outputs: {dev: {type: duckdb, path: data/shop.duckdb, schema: mart}}}\n"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("DBT_PROFILES_DIR", "DBT_TARGET", "DBT_PROFILE", "DBT_TARGET_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "shop"
    (root / "models").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (root / "profiles.yml").write_text(PROFILE)
    return root


def test__find__from_a_folder_inside__the_project(root):
    project = find_project(root / "models")
    assert (project.name, project.root, project.target) == ("shop", root, "dev")
    assert project.database == root / "data" / "shop.duckdb"
    assert project.target_path == root / "target"
    assert project.schema == "mart"


def test__find__no_project__says_where_to_run(tmp_path):
    with pytest.raises(ProjectError, match=r"no dbt_project\.yml in .*\n.*--project-dir"):
        find_project(tmp_path)


@pytest.mark.parametrize("place", ["given", "variable", "home"])
def test__profiles__look_up__in_order(root, tmp_path, monkeypatch, place):
    folder = tmp_path / "home" / ".dbt" if place == "home" else tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "profiles.yml").write_text(PROFILE.replace("shop.duckdb", f"{place}.duckdb"))
    if place == "home":
        (root / "profiles.yml").unlink()
    if place == "variable":
        monkeypatch.setenv("DBT_PROFILES_DIR", str(folder))
    project = find_project(root, profiles_dir=folder if place == "given" else None)
    assert project.database.name == f"{place}.duckdb"


def test__profiles__none__says_which_folders(root):
    (root / "profiles.yml").unlink()
    with pytest.raises(ProjectError, match=r"no profiles\.yml in .*shop or .*\.dbt\n.*--profiles-dir"):
        find_project(root)


def test__profiles__unknown_profile_or_target__candidates(root, monkeypatch):
    with pytest.raises(ProjectError, match=r"no target dav\n  Did you mean dev"):
        find_project(root, target="dav")
    monkeypatch.setenv("DBT_PROFILE", "shap")
    with pytest.raises(ProjectError, match=r"no profile shap\n  Did you mean shop"):
        find_project(root)


def test__rendering__env_var_and_var__only_in_the_chosen_target(root, monkeypatch):
    (root / "dbt_project.yml").write_text(
        "name: shop\nprofile: \"{{ env_var('WHICH', 'shop') }}\"\nvars: {folder: data}\n"
    )
    (root / "profiles.yml").write_text(
        "shop:\n  target: \"{{ env_var('RFM_T', 'dev') }}\"\n  outputs:\n"
        "    dev: {type: duckdb, path: \"{{ var('folder') }}/{{ env_var('RFM_DB') }}.duckdb\"}\n"
        "    prod: {type: snowflake, account: \"{{ env_var('NEVER_SET') }}\"}\n"
    )
    monkeypatch.setenv("RFM_DB", "x")
    assert find_project(root).database == root / "data" / "x.duckdb"
    monkeypatch.delenv("RFM_DB")
    with pytest.raises(ProjectError, match=r"target dev of profile shop: environment variable RFM_DB is not set"):
        find_project(root)


@pytest.mark.parametrize("text", ["{{ target.name }}", "{{ ''.__class__ }}{{ x }}", "{% if %}"])
def test__rendering__anything_else__one_message(root, text):
    (root / "profiles.yml").write_text(PROFILE.replace("data/shop.duckdb", f'"{text}"'))
    with pytest.raises(ProjectError, match=r"cannot be rendered(.|\n)*env_var\(\) and var\(\)"):
        find_project(root)


def test__adapter__another__says_which_works(root):
    (root / "profiles.yml").write_text(PROFILE.replace("type: duckdb", "type: bigquery"))
    with pytest.raises(
        ProjectError, match=r"target dev is of type bigquery; dbt-rfm works on duckdb, postgres and snowflake"
    ):
        find_project(root)


@pytest.mark.parametrize(("path", "said"), [("':memory:'", "in memory"), ("md:shop", "DuckDB files only")])
def test__database__not_a_file__says_so(root, path, said):
    (root / "profiles.yml").write_text(PROFILE.replace("data/shop.duckdb", path))
    with pytest.raises(ProjectError, match=said):
        find_project(root)


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        ("shop: dev\n", "profile shop in .* is 'dev', expected a mapping"),
        ("shop: {target: dev, outputs: [dev]}\n", "outputs of profile shop in .* expected a mapping"),
        ("shop: {target: dev, outputs: {dev: duckdb}}\n", "target dev of profile shop in .* is 'duckdb'"),
        (PROFILE.replace("schema: mart", "attach: [other.duckdb]"), "an entry of attach is 'other.duckdb'"),
    ],
)
def test__profiles__no_mapping__says_what_it_is(root, profiles, said):
    (root / "profiles.yml").write_text(profiles)
    with pytest.raises(ProjectError, match=said):
        find_project(root)


def test__project__vars_that_are_no_mapping__says_so(root):
    (root / "dbt_project.yml").write_text("name: shop\nprofile: shop\nvars: [a]\n")
    with pytest.raises(ProjectError, match=r"vars in .*dbt_project\.yml is \"\['a'\]\", expected a mapping"):
        find_project(root)


def test__attach__files_by_alias_or_name(root):
    attach = "attach: [{path: data/a.duckdb, alias: other}, {path: b.db}, {path: 'c.sqlite', type: sqlite}]"
    (root / "profiles.yml").write_text(PROFILE.replace("schema: mart", attach))
    assert find_project(root).attached == {"other": root / "data" / "a.duckdb", "b": root / "b.db"}


@pytest.mark.parametrize(
    "variables",
    [
        "{dbt_rfm_graph: [a, b]}",
        "{shop: {dbt_rfm_graph: [a, b]}, dbt_rfm_graph: [c]}",
        "{dbt_rfm: {dbt_rfm_graph: [a, b]}}",
    ],
)
def test__graph__scopes_of_vars__as_dbt_looks_them_up(root, variables):
    (root / "dbt_project.yml").write_text(f"name: shop\nprofile: shop\nvars: {variables}\n")
    assert find_project(root).graph == ["a", "b"]


def test__vars__given_as_to_dbt__come_before_every_scope(root):
    declared = "{shop: {dbt_rfm_schema: own, dbt_rfm_graph: [a]}, dbt_rfm_schema: all}"
    (root / "dbt_project.yml").write_text(f"name: shop\nprofile: shop\nvars: {declared}\n")
    project = find_project(root, variables="{dbt_rfm_schema: given}")
    assert (project.rfm_schema, project.graph) == ("given", ["a"])
    assert variable(root, {"dbt_rfm_schema": "given"}, "dbt_rfm_schema") == "given"


def test__vars__given__are_known_to_the_profile(root):
    (root / "profiles.yml").write_text(PROFILE.replace("data/shop.duckdb", "\"data/{{ var('file') }}.duckdb\""))
    assert find_project(root, variables="file: y").database == root / "data" / "y.duckdb"


@pytest.mark.parametrize(("given", "problem"), [("a", "expected a mapping"), ("{a", "is not YAML")])
def test__vars__no_mapping__says_how_to_write_it(root, given, problem):
    with pytest.raises(ProjectError, match=f"--vars .*{problem}"):
        find_project(root, variables=given)


def test__graph__not_set__none(root):
    assert find_project(root).graph is None


def test__target_path__set_by_variable(root, monkeypatch):
    monkeypatch.setenv("DBT_TARGET_PATH", "out")
    assert find_project(root).target_path == root / "out"


def test__manifest__missing_broken_or_foreign__says_dbt_parse(root):
    project = find_project(root)
    with pytest.raises(ProjectError, match=r"there is no .*manifest\.json\n.*dbt parse"):
        project.manifest()
    project.target_path.mkdir()
    for text in ("{", "[]", "{}"):
        (project.target_path / "manifest.json").write_text(text)
        with pytest.raises(ProjectError, match="dbt parse"):
            project.manifest()
    (project.target_path / "manifest.json").write_text('{"nodes": {}}')
    assert project.manifest() == {"nodes": {}}


def test__yaml__broken__one_message(root):
    (root / "dbt_project.yml").write_text("name: [\n")
    with pytest.raises(ProjectError, match=r"dbt_project\.yml is not YAML"):
        find_project(root)
    (root / "dbt_project.yml").write_text("")
    with pytest.raises(ProjectError, match="holds no settings"):
        find_project(root)


def test__open__database__read_only_with_attached_files(root):
    attach = "attach: [{path: data/two.duckdb}]"
    (root / "profiles.yml").write_text(PROFILE.replace("schema: mart", attach))
    for name in ("shop", "two"):
        with duckdb.connect(str(root / "data" / f"{name}.duckdb")) as connection:
            connection.execute("create table t as select 1 as x")
    with find_project(root).open() as warehouse:
        assert warehouse.describe('"shop"."main"."t"') == warehouse.describe('"two"."main"."t"') == [("x", "INTEGER")]


def test__open__nothing_built__says_dbt_build(root):
    with pytest.raises(ProjectError, match=r"there is no DuckDB file .*shop\.duckdb\n.*dbt build"):
        find_project(root).open()
