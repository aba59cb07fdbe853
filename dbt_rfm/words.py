"""Words of texts: what a text is cut into, and which words are worth a column.

In: texts. Out: sets of words, or the words that are frequent. Letters and digits of any script count, in lower case;
a single character is no word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

MOST = 400  # words of all texts of a question
_LEAST, _LEAST_SHARE = 5, 0.005  # of the texts: what is rarer cannot be learnt from
_MOST_SHARE = 0.5  # of the texts: a word that is in most of them is of the form
_WORD = re.compile(r"\w{2,}")


def words_in(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def frequent_words(texts: Iterable[str], most: int) -> list[str]:
    """At most so many words that are in some of the texts and not in most of them, the most frequent first."""
    counts: Counter[str] = Counter()
    number = 0
    for text in texts:
        counts.update(words_in(text))
        number += 1
    rarest, commonest = max(_LEAST, _LEAST_SHARE * number), _MOST_SHARE * number
    kept = (word for word in counts if rarest <= counts[word] <= commonest)
    return sorted(kept, key=lambda word: (-counts[word], word))[:most]
