"""Texts as columns of a model: whether each of the chosen words is in them.

In: texts and words. Out: a column per word, 1 or 0, NaN where there is no text. Single precision: the columns are many,
and their values few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from dbt_rfm.words import words_in


def word_columns(texts: pa.ChunkedArray, words: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Each word with its column; a text that many rows have is read once."""
    codes = texts.cast(pa.string()).combine_chunks().dictionary_encode()
    told = codes.dictionary.to_pylist()
    place = {word: i for i, word in enumerate(words)}
    found = np.zeros((len(words), len(told) + 1), dtype=np.float16)
    found[:, -1] = np.nan  # where a row has no text
    for row, text in enumerate(told):
        found[[place[word] for word in words_in(text) if word in place], row] = 1
    rows = codes.indices.fill_null(len(told)).to_numpy(zero_copy_only=False)
    for word, column in zip(words, found, strict=True):
        yield word, column[rows].astype(np.float32)
