"""The shipped weights: they load once, and they have learned to learn."""

from __future__ import annotations

import numpy as np
import pytest
from asking import ask

from dbt_rfm.errors import ModelError
from dbt_rfm.model import load_model
from dbt_rfm.model.families.rfm.checkpoint import CHECKPOINTS, read_checkpoint
from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.pretrain.held_out import auroc
from dbt_rfm.pretrain.prior import Batch, draw_batch
from dbt_rfm.task_kind import TaskKind


def tables(batch: Batch, task: int) -> tuple[FeatureTable, FeatureTable]:
    columns = []
    for j, categorical in enumerate(batch.categorical[task]):
        values = batch.columns[task, :, j].astype(np.float64)
        named = np.array([None if np.isnan(v) else f"c{v:.0f}" for v in values], dtype=object)
        columns.append(named if categorical else values)
    names = tuple(f"x{j}" for j in range(len(columns)))
    kinds = tuple("categorical" if c else "numerical" for c in batch.categorical[task])
    table = FeatureTable(names, kinds, tuple(columns))
    rows = np.arange(table.num_rows)
    return table.take(rows[: batch.num_context]), table.take(rows[batch.num_context :])


def relational(kind: TaskKind) -> Batch:
    return draw_batch(np.random.default_rng(2026), kind, 8, 200, 100, 12, relational=1.0)


def test__load_model__twice__same_weights():
    one, two = load_model(), load_model("rfm", options={"context_size": 50})
    assert one.network is two.network and two.options.context_size == 50
    assert one.name == "rfm" and len(one.checkpoint_sha) == 64 and one.checkpoint_sha[:8] in one.version


def test__load_model__unknown_name__says_what_there_is():
    with pytest.raises(ModelError, match="no model named 'rfn'\n  Did you mean rfm"):
        load_model("rfn")


def test__load_model__unknown_option__says_which():
    with pytest.raises(ModelError, match="no option contextsize"):
        load_model("rfm", options={"contextsize": 5})


def test__read_checkpoint__not_a_checkpoint__says_so(tmp_path):
    path = tmp_path / "rfm.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(ModelError, match="does not hold weights"):
        read_checkpoint(path)
    with pytest.raises(ModelError, match="no weights at"):
        read_checkpoint(tmp_path / "absent.safetensors")


def test__shipped_weights__fit_the_package():
    assert (CHECKPOINTS / "rfm.safetensors").stat().st_size < 20e6


def test__rfm__relational_tasks_it_never_saw__ranks_far_better_than_chance():
    batch = relational(TaskKind.BINARY)
    found = []
    for task in range(batch.num_tasks):
        context, query = tables(batch, task)
        labels, truth = np.split(batch.labels[task].astype(int), [batch.num_context])
        answer = ask(load_model(), context, labels, query, TaskKind.BINARY, ("false", "true"))
        found.append(auroc(truth, answer.probabilities[:, 1]))
    assert np.mean(found) > 0.62


def test__rfm__numbers_of_relational_tasks__beat_the_median():
    batch = relational(TaskKind.REGRESSION)
    ratios = []
    for task in range(batch.num_tasks):
        context, query = tables(batch, task)
        labels, truth = np.split(batch.labels[task].astype(np.float64), [batch.num_context])
        answer = ask(load_model(), context, labels, query, TaskKind.REGRESSION, ())
        plain = np.abs(truth - np.median(labels)).mean()
        ratios.append(np.abs(truth - answer.quantile(0.5)).mean() / plain)
    assert np.mean(ratios) < 0.97


def test__rfm__a_rule_no_linear_reading_can_state__read_by_the_network():
    """Far from zero or near it."""
    model = load_model()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    far = (np.abs(x[:, 1]) > 0.8).astype(int)
    table = FeatureTable(("a", "b", "c"), ("numerical",) * 3, tuple(x.T))
    context, query = table.take(np.arange(200)), table.take(np.arange(200, 300))
    prepared = model.prepare(Labelled(context, far[:200], TaskKind.BINARY, ("false", "true")))
    network, line = prepared.opinions.members[0], prepared.opinions.line
    rows = prepared.reading.matrix_of(query)
    assert auroc(far[200:], network.log_odds(rows)[:, 1]) > 0.9
    assert auroc(far[200:], line.log_odds(rows)[:, 1]) < 0.7
