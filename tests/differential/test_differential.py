"""Every difference from the language's owner, in syntax or in labels, is of a kind that decision 0016 explains."""

from __future__ import annotations

import pytest
from compare import compare, corpus

pytest.importorskip("predictive_query", reason="needs structured-data-models-client[relational]: make differential")


def test__corpus__read_by_both__differs_only_as_decided() -> None:
    verdicts = [compare(query) for query in corpus()]
    assert len(verdicts) >= 200
    assert [v.query for v in verdicts if v.differs and v.kind is None] == []
    assert sum(v.ours is None and v.theirs is None for v in verdicts) >= 150
    assert sum(v.ours is not None and v.theirs is not None for v in verdicts) >= 50


@pytest.mark.parametrize("name", ["f1", "online_retail", "maven_market", "beer"])
def test__labels__of_both_engines__differ_only_as_decided(name: str) -> None:
    pytest.importorskip("sdm_relational_engine", reason="as above")
    from labels import compare_database
    from suite_database import FOLDER

    if not (FOLDER / name).is_dir():
        pytest.skip(f"no database {name} at {FOLDER} (set DBT_RFM_SUITE)")
    compared = [row for row in compare_database(name) if not row.refused]
    assert sum(row.same and row.both > 0 for row in compared) >= 6
    assert [row for row in compared if not row.same and not row.decided] == []
