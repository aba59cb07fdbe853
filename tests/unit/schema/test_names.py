"""What names say of keys and tables."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from dbt_rfm.schema import names

WORD = st.text(string.ascii_lowercase, min_size=2, max_size=8)


@given(st.lists(WORD, min_size=1, max_size=4))
def test__words__snake_upper_and_camel__the_same(parts):
    snake = "_".join(parts)
    camel = parts[0] + "".join(word.capitalize() for word in parts[1:])
    assert names.words(snake) == names.words(snake.upper()) == names.words(camel) == tuple(parts)


def test__entity_words__layers_and_plurals__one_row():
    assert names.entity_words("fct_order_items") == ("order", "item")
    assert names.entity_words("stg_categories") == ("category",)
    assert names.entity_words("addresses") == ("address",)
    assert names.entity_words("raw") == ("raw",)


def test__stem__endings__cut():
    assert names.stem("id") == ()
    assert names.stem("customerId") == ("customer",)
    assert names.stem("stock_code") == ("stock",)
    assert names.stem("code") == ("code",)
    assert names.stem("total") == ("total",)
