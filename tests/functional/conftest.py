"""The shop as a real dbt project, built once per session and copied for each class of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dbt_projects import PROFILE, REPOSITORY, Project
from shop_project import CUSTOMERS, ORDERS, PROJECT, SCHEMA, STORES


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Threads of torch that wait for each other on a busy machine cost ten times the work itself."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The shop with its tables built and no prediction."""
    project = Project(tmp_path_factory.mktemp("template") / "shop")
    project.write("dbt_project.yml", PROJECT)
    project.write("packages.yml", f"packages:\n  - local: {REPOSITORY}\n")
    project.write("models/customers.sql", CUSTOMERS)
    project.write("models/orders.sql", ORDERS)
    project.write("models/schema.yml", SCHEMA)
    project.write("seeds/stores.csv", STORES)
    project.write("profiles.yml", PROFILE)
    assert project.dbt("deps").success
    built = project.dbt("build")
    assert built.success, built.log
    return project


@pytest.fixture(scope="class")
def shop(shop_template: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the shop for one class of tests."""
    yield shop_template.copy(tmp_path_factory.mktemp("project") / "shop")
