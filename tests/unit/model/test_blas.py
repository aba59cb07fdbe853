"""While a prediction is answered numpy multiplies on one thread, and the process has its number back afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dbt_rfm.model.blas import one_blas_thread


def threads() -> set[int]:
    """Of numpy's own library; others that are loaded are nobody's business here."""
    return {
        each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas" and "numpy" in each["filepath"]
    }


@pytest.fixture(autouse=True)
def three_threads() -> object:
    np.eye(2) @ np.eye(2)  # the library is there
    with threadpool_limits(limits=3, user_api="blas"):
        yield


def test__answers__one_after_another__one_thread_and_then_as_before() -> None:
    for _ in range(2):
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {3}


def test__answers__one_within_the_other__as_before_when_the_last_has_left() -> None:
    with one_blas_thread():
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {3}


def test__answer__fails__as_before() -> None:
    with pytest.raises(ValueError, match="bad"), one_blas_thread():
        raise ValueError("bad")
    assert threads() == {3}
