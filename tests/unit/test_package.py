"""The package as it is installed: light to import, of one version, complete in the wheel and the source archive."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import dbt_rfm

ROOT = Path(__file__).resolve().parents[2]


def _python(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.strip()


def test__import__loads_the_standard_library_only() -> None:
    code = """
import sys, json
before = set(sys.modules)
import dbt_rfm
tops = {name.split('.')[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(tops - set(sys.stdlib_module_names))))
"""
    assert json.loads(_python(code)) == ["dbt_rfm"]


def test__public_names__are_all_there_and_sorted() -> None:
    assert sorted(dbt_rfm.__all__) == dbt_rfm.__all__
    for name in dbt_rfm.__all__:
        assert getattr(dbt_rfm, name).__name__ == name


def test__plugins__is_no_name_of_ours() -> None:
    """dbt takes a module or attribute of that name in any dbt_* package for its own plugin system and fails."""
    assert not hasattr(dbt_rfm, "plugins")
    assert not [path for path in (ROOT / "dbt_rfm").rglob("plugins*")]


# In the order of docs/index.md: a room imports of those before it only, but for what is said here.
_BELOW = ("schema", "pql", "plan", "warehouse", "shards", "collect")
_ROOMS = (*_BELOW, "model", "evaluate", "versions", "answer", "report", "worker")
_LATER = {
    ("schema", "warehouse"),  # definitions and samples are read
    ("collect", "model"),  # how many examples of a rare event a family can read
    ("worker", "pipeline"),
    ("worker", "publish"),
}
_ABOVE = {"pipeline", "publish", "survey", "relational_schema", "embedded", "python_model", "cli", "bench", "pretrain"}
_ARRAYS_ONLY = {"model": set(_BELOW)}


@pytest.mark.parametrize("room", _ROOMS)
def test__imports__of_a_room__go_down_only(room: str) -> None:
    texts = {path: path.read_text() for path in (ROOT / "dbt_rfm" / room).rglob("*.py")}
    assert texts
    found = {(path.name, other) for path, text in texts.items() for other in re.findall(r"from dbt_rfm\.(\w+)", text)}
    later = {*_ROOMS[_ROOMS.index(room) + 1 :], *_ABOVE, *_ARRAYS_ONLY.get(room, ())}
    wrong = {(name, other) for name, other in found if other in later and (room, other) not in _LATER}
    assert sorted(f"{name} imports {other}" for name, other in wrong) == []


def test__map_of_the_code__every_room_and_module_beside_them__has_a_place() -> None:
    page = (ROOT / "docs" / "index.md").read_text()
    modules = {path.name for path in (ROOT / "dbt_rfm").glob("*.py")} - {"__init__.py"}
    rooms = {f"{path.parent.name}/" for path in (ROOT / "dbt_rfm").glob("*/__init__.py")}
    assert rooms and sorted(name for name in modules | rooms if not re.search(rf"[`/]{re.escape(name)}`", page)) == []


def test__version__agrees_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dbt_project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    assert project["version"] == dbt_rfm.__version__ == dbt_project["version"]
    assert f"## [{dbt_rfm.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test__dbt_project__names_every_path_and_keeps_its_models_off() -> None:
    """dbt's defaults would collect our pytest folder as data tests in every project that installs the package."""
    dbt_project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    for kind in ("model", "macro", "test", "seed", "snapshot", "analysis"):
        paths = dbt_project[f"{kind}-paths"]
        assert paths and not {"tests", "models"} & set(paths)
    assert dbt_project["models"]["dbt_rfm"]["+enabled"] is False
    assert dbt_project["vars"]["dbt_rfm_python_models"] is False


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a freshly built wheel and source archive."""
    pytest.importorskip("hatchling", reason="hatchling builds the archives; it comes with the extra dev")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def archives(dist: Path) -> tuple[set[str], set[str]]:
    """Names in the wheel and in the source archive, the latter without its leading folder."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened, tarfile.open(sdist) as unpacked:
        return set(opened.namelist()), {name.split("/", 1)[1] for name in unpacked.getnames()}


def _tracked(pattern: str) -> set[str]:
    return {str(p.relative_to(ROOT)) for p in ROOT.glob(pattern) if "__pycache__" not in p.parts and p.is_file()}


def test__wheel__carries_macros_weights_grammar_template_and_example(archives: tuple[set[str], set[str]]) -> None:
    wheel, _ = archives
    macros = {f"dbt_rfm/dbt_package/{name}" for name in _tracked("macros/**/*")}
    models = {f"dbt_rfm/dbt_package/{name}" for name in _tracked("python_models/**/*")}
    example = {f"dbt_rfm/{name}" for name in _tracked("example_project/models/**/*")}
    assert macros and models and example
    assert macros | models | example <= wheel
    assert "dbt_rfm/dbt_package/dbt_project.yml" in wheel
    assert "dbt_rfm/example_project/dbt_project.yml" in wheel
    assert {"dbt_rfm/pql/grammar.lark", "dbt_rfm/report/template.html.j2"} <= wheel
    assert "dbt_rfm/py.typed" in wheel
    assert any(re.fullmatch(r"dbt_rfm/model/families/rfm/checkpoints/.+\.safetensors", name) for name in wheel)


def test__wheel__leaves_behind_what_runs_leave(archives: tuple[set[str], set[str]]) -> None:
    for names in archives:
        litter = [n for n in names if re.search(r"(^|/)(target|logs|dbt_packages|__pycache__|data)/|\.duckdb$", n)]
        assert litter == []


def test__wheel__unpacked_elsewhere__sets_up_the_example(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import pathlib; from dbt_rfm.demo.project import set_up; set_up(pathlib.Path('shop'), num_customers=60)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    packages = yaml.safe_load((tmp_path / "shop" / "packages.yml").read_text())["packages"]
    assert packages == [{"local": str(tmp_path / "site" / "dbt_rfm" / "dbt_package")}]
    assert (tmp_path / "shop" / "models" / "predictions" / "predictions.yml").is_file()


def test__sdist__is_enough_to_build_the_wheel(archives: tuple[set[str], set[str]]) -> None:
    _, sdist = archives
    needed = _tracked("dbt_rfm/**/*") | _tracked("macros/**/*") | _tracked("python_models/**/*")
    needed |= _tracked("example_project/models/**/*")
    assert needed <= sdist
    assert {"pyproject.toml", "dbt_project.yml", "README.md", "CHANGELOG.md", "LICENSE"} <= sdist


def test__weights__are_small_enough_to_ship() -> None:
    weights = list((ROOT / "dbt_rfm/model/families/rfm/checkpoints").glob("*.safetensors"))
    assert weights
    assert sum(path.stat().st_size for path in weights) < 20_000_000
