"""Snowflake's SQL as a plan writes it: a sqlglot dialect of our own on top of sqlglot's.

Names. Snowflake keeps an unquoted name in upper case, and everything else that people write (queries, YAML, dbt) has
it in lower case. So a name is shown in the other case: CUSTOMER_ID is `customer_id` to the package, and a column that
somebody made as "customer_id", in quotes, is `CUSTOMER_ID`; a mixed one stays as it is. `other_case` is its own
inverse, so nothing is lost, names meet without care about case, and every table and column that the package makes can
be used in Snowflake without quotes. It happens here, where SQL is read and written, and where answers come back
(`snowflake.py`), and nowhere else. A name without quotes is left to Snowflake.

Values. What a plan says in DuckDB's sense is written so that Snowflake means the same: divisions and averages in double
precision (Snowflake's have six digits for whole numbers), moments as DuckDB prints them (they enter draws), TRY_CAST,
and timestamps without a zone whatever the account's settings.
"""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake as SqlglotSnowflake
from sqlglot.tokens import Token, TokenType

from dbt_rfm.plan.sql import is_moment

_LOWER, _UPPER = re.compile(r"[a-z_][a-z0-9_$]*"), re.compile(r"[A-Z_][A-Z0-9_$]*")
_MOMENT = "YYYY-MM-DD HH24:MI:SS.FF6"


def other_case(name: str) -> str:
    """
    >>> other_case("CUSTOMER_ID"), other_case("customer_id"), other_case("Customer Id")
    ('customer_id', 'CUSTOMER_ID', 'Customer Id')
    """
    if _UPPER.fullmatch(name):
        return name.lower()
    return name.upper() if _LOWER.fullmatch(name) else name


class SnowflakeRfm(SqlglotSnowflake):
    """Known to sqlglot as `snowflakerfm`."""

    def tokenize(self, sql: str, dialect: object = None) -> list[Token]:
        tokens = super().tokenize(sql, dialect)  # type: ignore[arg-type]
        for token in tokens:
            if token.token_type == TokenType.IDENTIFIER:
                token.text = other_case(token.text)
        return tokens

    class Generator(SqlglotSnowflake.Generator):  # type: ignore[valid-type, misc]  # sqlglot has it as a variable
        TYPE_MAPPING = {  # noqa: RUF012  # sqlglot's own way to say so
            **SqlglotSnowflake.Generator.TYPE_MAPPING,
            exp.DType.TIMESTAMP: "TIMESTAMP_NTZ",
        }

        def identifier_sql(self, expression: exp.Identifier) -> str:
            if not expression.quoted:
                return super().identifier_sql(expression)
            return super().identifier_sql(exp.to_identifier(other_case(expression.name), quoted=True))

        def div_sql(self, expression: exp.Div) -> str:
            return super().div_sql(exp.Div(**{**expression.args, "this": _double(expression.this)}))

        def avg_sql(self, expression: exp.Avg) -> str:
            return self.func("AVG", _double(expression.this))

        def trycast_sql(self, expression: exp.TryCast) -> str:
            # Used on texts only; sqlglot writes a CAST, which fails, where it does not see that.
            return f"TRY_CAST({self.sql(expression, 'this')} AS {self.sql(expression, 'to')})"

        def cast_sql(self, expression: exp.Cast, safe_prefix: str | None = None) -> str:
            if not is_moment(expression):
                return super().cast_sql(expression, safe_prefix)
            moment = exp.Cast(this=expression.this, to=exp.DataType.build("timestamp"))
            printed = self.func("TO_VARCHAR", moment, exp.Literal.string(_MOMENT))
            return f"REGEXP_REPLACE({printed}, '[.]?0+$', '')"


def _double(expression: exp.Expression) -> exp.Expression:
    inner = expression.this if isinstance(expression, exp.Paren) else expression
    if isinstance(inner, exp.Cast) and inner.to.is_type("double"):
        return expression
    return exp.Cast(this=expression, to=exp.DataType.build("double"))
