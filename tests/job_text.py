"""A job as the macros write it."""

from __future__ import annotations

import json
from dataclasses import asdict

from dbt_rfm.job import Job


def job_text(job: Job) -> str:
    return json.dumps(asdict(job))
