"""A job is read whole from the JSON of the macros, and other versions are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from job_text import job_text

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import Contract, Job, JobTable, JobTarget, JobTest


def test__job__from_what_the_macros_write__has_every_field() -> None:
    job = Job(
        query="PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id",
        tables=(
            JobTable("orders", '"db"."main"."orders"', columns={"order_id": {"name": "order_id"}}, event_time="at"),
        ),
        tests=(JobTest("unique", "order_id", depends_on=("model.shop.orders",), where="x > 1", severity="WARN"),),
        options={"seed": 3},
        target=JobTarget("db", "main", "churn"),
        labels='"db"."main"."labels"',
        contract=Contract(True, (("customer_id", "bigint"),)),
        unique_id="model.shop.churn",
        invocation_id="run",
        empty=True,
        rfm_schema="rfm",
    )
    assert Job.from_json(job_text(job)) == job


def test__job__missing_optional_fields__take_defaults() -> None:
    job = Job.from_json(json.dumps({"version": 1, "query": "q", "tables": [], "options": None}))
    assert (job.options, job.target, job.labels, job.empty) == ({}, None, None, False)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2, "query": "q", "tables": []}'])
def test__job__of_another_version__is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ProjectError, match="job"):
        Job.from_json(text)


def test__job__with_a_schema_for_what_it_keeps__has_its_home_there() -> None:
    job = Job(query="q", tables=(), target=JobTarget("db", "marts", "churn"))
    assert job.home == job.target
    assert replace(job, rfm_schema="rfm").home == JobTarget("db", "rfm", "churn")
