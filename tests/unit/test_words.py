"""Words of texts: what a text is cut into, and which words are worth a column."""

from __future__ import annotations

from dbt_rfm.words import frequent_words, words_in


def test__words_in__letters_and_digits__in_lower_case_without_single_characters() -> None:
    assert words_in("Refund of order 17: I can't PAY!") == {"refund", "of", "order", "17", "can", "pay"}
    assert words_in("") == words_in("! - ?") == set()


def test__words_in__other_scripts__are_words_too() -> None:
    assert words_in("Возврат ДЕНЕГ, Überweisung") == {"возврат", "денег", "überweisung"}
    assert words_in("返品 を お願いします") == {"返品", "お願いします"}


def test__frequent_words__too_rare_or_in_most_texts__are_left_out() -> None:
    texts = [f"ticket number{i} {'refund' if i % 3 == 0 else 'login'}" for i in range(30)] + ["rare"] * 4
    assert frequent_words(texts, 10) == ["refund"]  # 'ticket' and 'login' are in more than half
    assert frequent_words([*texts, *["plain"] * 40], 10) == ["ticket", "login", "refund"]


def test__frequent_words__more_than_there_is_room_for__the_most_frequent() -> None:
    texts = ["alpha beta"] * 6 + ["beta gamma"] * 7 + ["delta"] * 20
    assert frequent_words(texts, 2) == ["beta", "gamma"]


def test__frequent_words__of_many_texts__a_share_of_them_is_needed() -> None:
    texts = ["seldom"] * 9 + ["often"] * 20 + ["other"] * 1971
    assert frequent_words(texts, 10) == ["often"]


def test__frequent_words__no_texts_or_empty_ones__none() -> None:
    assert frequent_words([], 10) == frequent_words(["", "  "] * 9, 10) == []
