"""What a name says: its words, whether it looks like a key, which table it means.

`customer_id`, `customerId` and `CUSTOMER_ID` are the same words; a table is known by its singular and without the
prefixes that dbt projects give their layers. Guesses made from names are always checked against the data elsewhere.
"""

from __future__ import annotations

import re
from functools import cache

# What ends the name of a key. Only the first group says so beyond doubt.
_ID_WORDS = frozenset({"id", "uuid", "guid", "pk", "sk", "key"})
_CODE_WORDS = frozenset({"no", "number", "code", "nr", "num", "ref"})
_LAYERS = frozenset({"stg", "int", "dim", "fct", "fact", "base", "raw", "src", "staging", "rpt", "mart"})
_IRREGULAR = {"people": "person", "children": "child", "men": "man", "women": "woman", "data": "data", "news": "news"}


@cache  # a schema asks for the same few names for every pair of columns
def words(name: str) -> tuple[str, ...]:
    """
    >>> words("CUSTOMER_ID"), words("constructorResultsId"), words("HTTPCode2")
    (('customer', 'id'), ('constructor', 'results', 'id'), ('http', 'code', '2'))
    """
    if name.upper() == name:
        name = name.lower()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)", "_", name)
    return tuple(word for word in re.split(r"[\W_]+", spaced.lower()) if word)


def singular(word: str) -> str:
    """
    >>> [singular(w) for w in ("orders", "categories", "addresses", "boxes", "status", "people", "bus")]
    ['order', 'category', 'address', 'box', 'status', 'person', 'bus']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|x|ch|sh|tus|bus)es$", word):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def singulars(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(singular(word) for word in parts)


def entity_words(table: str) -> tuple[str, ...]:
    """The words for one row of a table.

    >>> entity_words("stg_order_items"), entity_words("customers")
    (('order', 'item'), ('customer',))
    """
    parts = list(words(table))
    while len(parts) > 1 and parts[0] in _LAYERS:
        parts.pop(0)
    return singulars(tuple(parts))


def ends_like_id(column: str) -> bool:
    parts = words(column)
    return bool(parts) and parts[-1] in _ID_WORDS


def ends_like_code(column: str) -> bool:
    parts = words(column)
    return len(parts) > 1 and parts[-1] in _CODE_WORDS


def stem(column: str) -> tuple[str, ...]:
    """The words before the ending of a key, in singular; all words where there is no such ending.

    >>> stem("owner_user_id"), stem("id"), stem("stock_code")
    (('owner', 'user'), (), ('stock',))
    """
    parts = words(column)
    if parts and (parts[-1] in _ID_WORDS or (len(parts) > 1 and parts[-1] in _CODE_WORDS)):
        parts = parts[:-1]
    return singulars(parts)
