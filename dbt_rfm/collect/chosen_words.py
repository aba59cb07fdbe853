"""The words of texts that become columns, chosen from the examples that are learnt from.

In: examples and features with texts. Out: per context the words of each text. No label chooses: which of the words tell
something is for the model to find out.
Time rule: each context has its own words, so that the backtest is told none that only later texts have.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.snapshot import BACKTEST_CONTEXT, CONTEXT, TEXT, Feature
from dbt_rfm.words import MOST, frequent_words


def chosen_words(examples: pa.Table, features: pa.Table, meta: Sequence[Feature]) -> dict[str, dict[str, list[str]]]:
    """By context and feature."""
    texts = [feature.name for feature in meta if feature.kind == TEXT]
    splits = [s for s in (CONTEXT, BACKTEST_CONTEXT) if pc.any(pc.equal(examples["split"], s)).as_py()]
    most = MOST // max(len(texts), 1)
    return {s: {name: _words(examples, features[name], s, most) for name in texts} for s in splits} if texts else {}


def _words(examples: pa.Table, texts: pa.ChunkedArray, split: str, most: int) -> list[str]:
    """An entity that stands at many anchors with the same text counts once."""
    there = pc.and_(pc.equal(examples["split"], split), pc.is_valid(texts))
    told = pa.table({"entity": examples["entity"], "text": texts}).filter(there)
    return frequent_words(told.group_by(["entity", "text"]).aggregate([])["text"].to_pylist(), most)
