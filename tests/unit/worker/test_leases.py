"""Rows that a worker takes: what a failure to take one means."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import DataError
from dbt_rfm.worker.leases import went_through


def refused() -> None:
    raise DataError("the row is locked")


def test__went_through__no_failure__true_without_a_second_look() -> None:
    looks: list[str] = []
    assert went_through(lambda: None, lambda: bool(looks.append("look")))
    assert looks == []


def test__went_through__failure_because_another_was_quicker__false() -> None:
    assert not went_through(refused, lambda: False)


def test__went_through__failure_while_the_row_is_free__is_told() -> None:
    with pytest.raises(DataError, match="the row is locked"):
        went_through(refused, lambda: True)
