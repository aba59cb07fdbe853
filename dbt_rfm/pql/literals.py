"""Values of a query in the type of what they are compared with.

In: a value as written and the family of the other side. Out: the value as bool, int, Decimal, datetime or str, or an
Unfit that says what to write. Nothing is turned into a text: '007' and 7 are different keys.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from dbt_rfm.pql.ast import Scalar
from dbt_rfm.schema.data_types import Family

MAX_DIGITS = 38  # of a number: what the widest integers and decimals of warehouses hold

EXACT = 10**18  # a decimal number beyond is compared in double precision: decimals of warehouses have no room for it

_WORDS = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}
_EXAMPLES = {
    Family.BOOLEAN: "TRUE or FALSE",
    Family.INTEGER: "a number",
    Family.NUMBER: "a number",
    Family.TIME: "a date such as '2024-06-30' or a timestamp such as '2024-06-30 12:00'",
    Family.STRING: "a text in single quotes",
    Family.ENUM: "a text in single quotes",
    Family.UUID: "a UUID in single quotes",
}


class Unfit(ValueError):
    """The value has no meaning in that family. The message is what was expected."""


def fitted(value: Scalar, family: Family) -> Scalar:
    """The value as the family's type; null stays null. Raises Unfit."""
    if value is None:
        return None
    if family is Family.BOOLEAN:
        found: Scalar = _boolean(value)
    elif family is Family.INTEGER:
        found = _number(value)
    elif family is Family.NUMBER:
        number = _number(value)
        found = Decimal(number) if isinstance(number, int) and abs(number) >= EXACT else number
    elif family is Family.TIME:
        found = value if isinstance(value, datetime) else read_moment(value) if isinstance(value, str) else None
    elif family is Family.UUID:
        found = value if isinstance(value, str) and _is_uuid(value) else None
    else:
        found = value if isinstance(value, str) else None
    if found is None:
        raise Unfit(_expected(value, family))
    return found


def shown(value: Scalar | tuple[Scalar, ...]) -> str:
    """The value as a query writes it."""
    if isinstance(value, tuple):
        return f"({', '.join(shown(v) for v in value)})"
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, datetime):
        midnight = datetime(value.year, value.month, value.day)
        return f"'{value.date() if value == midnight else value}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return format(value, "f" if isinstance(value, Decimal) else "d")


def read_moment(text: str) -> datetime | None:
    """A date or a timestamp in ISO form as a moment in UTC without a zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _boolean(value: Scalar) -> bool | None:
    if isinstance(value, str):
        return _WORDS.get(value.strip().casefold())
    return bool(value) if isinstance(value, bool) or value in (0, 1) else None


def _number(value: Scalar) -> int | Decimal | None:
    if isinstance(value, str):
        try:
            number = Decimal(value.strip()) if len(value) <= MAX_DIGITS else None
        except InvalidOperation:
            return None
        if number is None or not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
            return None
        return _number(number)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _expected(value: Scalar, family: Family) -> str:
    if family in (Family.STRING, Family.ENUM) and isinstance(value, int | Decimal):
        return f"a text: '{shown(value)}'"
    return _EXAMPLES[family]
