"""Messages of warehouses, fit for a log: one line, and no values of rows.

In: what a driver raised. Out: its first line, and a text with everything that may be a value replaced by an ellipsis.
Too much is replaced rather than too little: names in quotes go too.
"""

from __future__ import annotations

import re

_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|(?<![\w.])-?\d[\d.]*")


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def without_values(text: str) -> str:
    """
    >>> without_values("Could not convert string 'secret' to INT32 when casting from column 7")
    'Could not convert string … to INT32 when casting from column …'
    """
    return _VALUES.sub("…", text)
