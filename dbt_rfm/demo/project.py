"""Set the example project up in a folder of the user's own.

In: a folder. Out: the dbt project there, its Parquet files generated, and packages.yml pointing at the dbt package that
belongs to this very installation, so that macros and Python code are of one version.
An installed wheel carries both under dbt_rfm/; in a checkout they are the repository's own folders.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from dbt_rfm.errors import ProjectError

_PACKAGE = Path(__file__).resolve().parent.parent
PROJECT_NAME = "shop_example"
#: What a project consists of; whatever a run leaves beside it is not copied.
PARTS = ("dbt_project.yml", "profiles.yml", ".gitignore", "README.md", "models")


def example_source() -> Path:
    """The example project as it was installed."""
    return _first_with("dbt_project.yml", _PACKAGE / "example_project", _PACKAGE.parent / "example_project")


def dbt_package() -> Path:
    """The dbt package (macros) of this installation, for `packages.yml: - local:`."""
    return _first_with("macros", _PACKAGE / "dbt_package", _PACKAGE.parent)


def set_up(directory: Path, *, num_customers: int | None = None) -> dict[str, int]:
    """Copy the project into `directory` and generate its data. Returns the number of rows of each raw table.

    Where the example project is in the folder already, its files stay as they are and only the data are written anew.
    Raises ProjectError if the folder holds something else.
    """
    from dbt_rfm.demo import shop  # loads numpy and pyarrow

    if not _is_example(directory):
        _copy(directory)
    return shop.write(directory / "data", num_customers=num_customers or shop.NUM_CUSTOMERS)


def _is_example(directory: Path) -> bool:
    project = directory / "dbt_project.yml"
    return project.is_file() and f"name: {PROJECT_NAME}\n" in project.read_text()


def _copy(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ProjectError(
            f"{directory} is there already and is not the example project",
            hint="Name a folder that does not exist yet.",
        )
    source = example_source()
    directory.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        part = source / name
        if part.is_dir():
            shutil.copytree(part, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(part, directory / name)
    (directory / "packages.yml").write_text(f'packages:\n  - local: "{dbt_package().as_posix()}"\n')


def _first_with(name: str, *folders: Path) -> Path:
    for folder in folders:
        if (folder / name).exists():
            return folder
    raise ProjectError(
        f"the installation of dbt-rfm has no {folders[0].name} (looked in {', '.join(str(f) for f in folders)})",
        hint="Install it again: pip install --force-reinstall --no-deps dbt-rfm.",
    )
