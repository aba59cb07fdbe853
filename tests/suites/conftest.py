"""The suite of real databases: DBT_RFM_SUITE, else ../shared/suite beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_database import FOLDER

DATASETS = ("beer", "f1", "fraud", "maven_market", "online_retail")


@pytest.fixture(scope="session")
def suite_folder() -> Path:
    """The folder; skips the test where there is none."""
    if not FOLDER.is_dir():
        pytest.skip(f"no suite of databases at {FOLDER} (set DBT_RFM_SUITE)")
    return FOLDER


@pytest.fixture(scope="session", params=DATASETS)
def dataset(request: pytest.FixtureRequest, suite_folder: Path) -> str:
    """The name of each database in turn."""
    if not (suite_folder / request.param).is_dir():
        pytest.skip(f"no database {request.param} in {suite_folder}")
    return request.param
