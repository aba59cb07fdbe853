"""The examples in docstrings hold."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("room", ["schema.data_types", "schema.names", "schema.dbt_names", "pql.delay", "manifest"])
def test__docstrings__examples__true(room):
    failed, tried = doctest.testmod(import_module(f"dbt_rfm.{room}"))
    assert tried and not failed
