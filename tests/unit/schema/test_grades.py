"""How much of a column a measure tells by thresholds."""

from __future__ import annotations

import random

import pytest

from dbt_rfm.schema.grades import told_by, told_by_number

DRAW = random.Random(0)
MEASURE = [DRAW.random() for _ in range(400)]


def test__values__of_thresholds__told_whole():
    grades = ["low" if m < 0.3 else "middle" if m < 0.8 else "high" for m in MEASURE]
    told, beyond = told_by(grades, MEASURE)
    assert told == 1
    assert beyond == len(grades) - grades.count("middle")


def test__numbers__that_fall_with_the_measure__told_whole():
    assert told_by_number([-3 * m for m in MEASURE], MEASURE) == (1, 399)


def test__some_rows__of_the_wrong_grade__a_share():
    wrong = [(m > 0.5) != (i < 20) for i, m in enumerate(MEASURE)]
    assert 0.85 < told_by(wrong, MEASURE)[0] < 0.95


@pytest.mark.parametrize("kinds", [2, 4])
def test__values__at_random__hardly_told(kinds):
    assert told_by([DRAW.randrange(kinds) for _ in MEASURE], MEASURE)[0] < 0.15
    assert told_by_number([DRAW.random() for _ in MEASURE], MEASURE)[0] < 0.15


def test__measure__nearly_always_equal__tells_nothing_by_its_ties():
    flag = [DRAW.random() < 0.3 for _ in MEASURE]
    assert told_by(flag, [0.0] * len(flag))[0] == 0


def test__values__all_the_same_or_too_many__nothing_to_tell():
    assert told_by(["a"] * 400, MEASURE) == (0, 0)
    assert told_by([f"name {i}" for i in range(400)], MEASURE) == (0, 0)
    assert told_by([], []) == (0, 0)
