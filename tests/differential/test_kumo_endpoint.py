"""The stand-in of the tests speaks the contract: it takes the requests that NVIDIA's own engine makes, as they are."""

from __future__ import annotations

import pytest

pytest.importorskip(
    "sdm_relational_engine", reason="needs structured-data-models-client[relational]: make differential"
)

import numpy as np
import pandas as pd
from kumo_endpoint import kumo_endpoint
from sdm_client import KumoRelational, PredictiveQuery, Request, Schema, SDMClient

ANCHOR = pd.Timestamp("2024-05-01")


def request(query: str, **options: object) -> Request:
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=200)
    customers = pd.DataFrame({"customer_id": range(40), "age": rng.uniform(20, 60, 40), "segment": list("abcd") * 10})
    orders = pd.DataFrame({"customer_id": rng.integers(0, 40, 200), "amount": rng.normal(10, 3, 200), "at": days})
    orders.insert(0, "order_id", range(200))
    schema = Schema.from_data({"customers": customers, "orders": orders})
    return PredictiveQuery(query, schema).materialize(indices=[1, 2, 3], **options)


@pytest.mark.parametrize(
    ("target", "output", "options"),
    [
        ("COUNT(orders.*, 0, 30, days) > 0", "probabilities", {"anchor_time": ANCHOR}),
        ("SUM(orders.amount, 0, 30, days)", "quantiles", {"anchor_time": ANCHOR}),
        ("customers.segment", "probabilities", {}),
    ],
)
@pytest.mark.parametrize("session", [True, False])
def test__stand_in__requests_of_the_engine__are_taken(target: str, output: str, options: dict, session: bool) -> None:
    asked = request(f"PREDICT {target} FOR EACH customers.customer_id", **options)
    with kumo_endpoint() as endpoint, SDMClient(endpoint.url) as client:
        if session:
            found = client.fit(asked, model=KumoRelational(), outputs=[output]).predict(asked)
        else:
            found = client.predict(asked, model=KumoRelational(), outputs=[output])
        assert not endpoint.refused
    assert [item.id for item in sorted(found, key=lambda item: item.row_index)] == [1, 2, 3]
    assert not found.absent([output])
