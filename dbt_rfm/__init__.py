"""Relational foundation models for dbt.

dbt imports every top-level module named `dbt_*` on every command, so this file loads the standard library only;
the rooms that need torch, duckdb or sqlglot load them when they are used.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # true for type checkers; importing typing itself would take longer than all the rest
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "DataError": "dbt_rfm.errors",
    "ModelError": "dbt_rfm.errors",
    "ProjectError": "dbt_rfm.errors",
    "QueryError": "dbt_rfm.errors",
    "RfmError": "dbt_rfm.errors",
    "predict": "dbt_rfm.python_model",
}

__all__ = ["DataError", "ModelError", "ProjectError", "QueryError", "RfmError", "predict"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'dbt_rfm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
