"""What the architecture promises whatever the weights: shown on a network of two layers."""

from __future__ import annotations

import pytest
import torch

from dbt_rfm.model.families.rfm.network import IDENTITY, MAX_CLASSES, RelationalTransformer
from dbt_rfm.model.prepared import QUANTILE_LEVELS

KINDS = ("binary", "multiclass", "regression")
CONTEXT, QUERY, COLUMNS = 24, 10, 5


def draw(kind: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    columns = torch.randn(2, CONTEXT + QUERY, COLUMNS, generator=generator)
    columns[..., -1] = (columns[..., -1] * 2).abs().floor()
    columns[torch.rand(columns.shape, generator=generator) < 0.1] = float("nan")
    categorical = torch.zeros(2, COLUMNS, dtype=torch.bool)
    categorical[:, -1] = True
    classes = 2 if kind == "binary" else 4
    labels = torch.randint(0, classes, (2, CONTEXT), generator=generator).float()
    if kind == "regression":
        labels = torch.randn(2, CONTEXT, generator=generator)
    return {
        "columns": columns,
        "categorical": categorical,
        "labels": labels,
        "identities": torch.randn(2, COLUMNS, IDENTITY, generator=generator),
        "categories": torch.randn(2, COLUMNS, 6, IDENTITY, generator=generator),
    }


def encode(network: RelationalTransformer, given: dict[str, torch.Tensor], kind: str):
    given = dict(given)
    columns = given.pop("columns")[:, :CONTEXT]
    return network.encode(columns, given.pop("categorical"), given.pop("labels"), kind, **given)


def assert_close(one: torch.Tensor, two: torch.Tensor) -> None:
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "outputs"), [("binary", 2), ("multiclass", MAX_CLASSES), ("regression", 23)])
def test__forward__each_kind__one_vector_per_query(network, kind, outputs):
    assert network(kind=kind, **draw(kind)).shape == (2, QUERY, outputs)
    assert len(QUANTILE_LEVELS) == 23


@pytest.mark.parametrize("kind", KINDS)
def test__score__context_encoded_once__equals_one_pass(network, kind):
    given = draw(kind)
    whole = network(kind=kind, **given)
    context = encode(network, given, kind)
    parts = [network.score(context, part, kind) for part in given["columns"][:, CONTEXT:].split(3, 1)]
    assert_close(torch.cat(parts, 1), whole)


@pytest.mark.parametrize("kind", KINDS)
def test__score__other_queries_change__answer_stays(network, kind):
    given = draw(kind)
    before = network(kind=kind, **given)
    given["columns"][:, CONTEXT + 1 :] = 1e6
    assert_close(network(kind=kind, **given)[:, 0], before[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test__encode__context_rows_permuted__answer_stays(network, kind):
    given = draw(kind)
    before = network(kind=kind, **given)
    order = torch.randperm(CONTEXT, generator=torch.Generator().manual_seed(2))
    given["columns"][:, :CONTEXT] = given["columns"][:, order]
    given["labels"] = given["labels"][:, order]
    assert_close(network(kind=kind, **given), before)


@pytest.mark.parametrize("kind", KINDS)
def test__encode__pairs_of_columns_permuted_with_identities__answer_stays(network, kind):
    given = draw(kind)
    before = network(kind=kind, **given)
    order = torch.tensor([2, 3, 0, 1, 4])  # two columns share a token, the last has one to itself
    moved = {name: given[name][:, order] for name in ("categorical", "identities", "categories")}
    moved["columns"] = given["columns"][..., order]
    assert_close(network(kind=kind, labels=given["labels"], **moved), before)


def test__encode__labels_change__answer_changes(network):
    given = draw("binary")
    before = network(kind="binary", **given)
    given["labels"] = 1 - given["labels"]
    assert (network(kind="binary", **given) - before).abs().max() > 1e-2


def test__encode__unit_of_a_column_changes__answer_stays(network):
    given = draw("regression")
    before = network(kind="regression", **given)
    given["columns"][..., 0] = given["columns"][..., 0] * 1000 + 5
    assert (network(kind="regression", **given) - before).abs().max() < 5e-3


def test__encode__column_missing_everywhere__finite(network):
    given = draw("binary")
    given["columns"][..., 0] = float("nan")
    given["columns"][:, :CONTEXT, 1] = float("nan")  # and one that only queries have
    assert torch.isfinite(network(kind="binary", **given)).all()


def test__training__tiny_task__loss_falls():
    torch.manual_seed(0)
    from tests.unit.model.conftest import TINY

    network = RelationalTransformer(TINY).train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    given = draw("binary")
    truth = (torch.nan_to_num(given["columns"][..., 0]) > 0).long()
    given["labels"] = truth[:, :CONTEXT].float()
    losses = []
    for _ in range(60):
        logits = network(kind="binary", **given)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), truth[:, CONTEXT:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
