"""Every difference in syntax from the language's owner is of a kind that decision 0016 explains."""

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
