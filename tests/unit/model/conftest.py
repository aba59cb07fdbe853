from __future__ import annotations

import numpy as np
import pytest
import torch

from dbt_rfm.model.families.rfm.in_context import InContextModel, InContextOptions
from dbt_rfm.model.families.rfm.network import NetworkConfig, RelationalTransformer
from dbt_rfm.model.interface import FeatureTable

TINY = NetworkConfig(cell_width=16, cell_layers=2, cell_heads=2, summaries=2, row_width=32, row_layers=2, row_heads=2)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def network() -> RelationalTransformer:
    """Two layers with every matrix away from zero, so that each branch has a say."""
    torch.manual_seed(0)
    tiny = RelationalTransformer(TINY)
    with torch.no_grad():
        for parameter in tiny.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return tiny.eval()


@pytest.fixture
def model(network) -> InContextModel:
    options = InContextOptions(context_size=200, columns=8, members=2, chunk=7)
    return InContextModel(network, version="tiny", checkpoint_sha="0" * 64, options=options)


@pytest.fixture
def plain(model: InContextModel) -> InContextModel:
    """One reading of the question, answered in one piece."""
    return model.with_options(members=1, chunk=512)


@pytest.fixture
def make_table():
    def make(rows: int, seed: int = 0, **more: np.ndarray) -> FeatureTable:
        """Three numbers (one with gaps), a category with gaps, and what is given."""
        rng = np.random.default_rng(seed)
        columns = {
            "amount": rng.standard_normal(rows),
            "orders": rng.poisson(2.0, rows).astype(np.float64),
            "recency": np.where(rng.random(rows) < 0.2, np.nan, rng.exponential(30, rows)),
            "city": rng.choice(np.array(["Bern", "Basel", "Chur", None], dtype=object), rows),
            **more,
        }
        kinds = tuple("categorical" if c.dtype == object else "numerical" for c in columns.values())
        return FeatureTable(tuple(columns), kinds, tuple(columns.values()))

    return make
