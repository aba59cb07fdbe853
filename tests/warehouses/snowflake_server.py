"""A Snowflake of the tests' own: fakesnow's server in this process, on a free port of the loopback.

It is DuckDB behind Snowflake's protocol, spoken to by the real connector: what passes here has the right form, and what
only Snowflake itself can show is left to the tests marked snowflake_live.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fakesnow
import fakesnow.arrow
import pyarrow as pa
import pyarrow.compute as pc
import snowflake.connector
from sqlglot import exp

from dbt_rfm.warehouse.snowflake import Snowflake, connection_arguments

ACCOUNT, DATABASE = "fakesnow", "RFM_TESTS"


@contextmanager
def running_server() -> Iterator[dict[str, Any]]:
    """The settings of a target in profiles.yml, but for the schema."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("fakesnow").setLevel(logging.CRITICAL)
    # fakesnow 0.12 sends a null timestamp as 1970; Snowflake sends a null.
    plain, fakesnow.arrow.timestamp_to_sf_struct = fakesnow.arrow.timestamp_to_sf_struct, _with_nulls
    try:
        with fakesnow.server() as given:
            names = ("account", "user", "password", "host", "port", "protocol")
            output = {"type": "snowflake", **{name: given[name] for name in names}}
            with opened(output) as admin:
                admin.execute(exp.Command(this="CREATE", expression=f"DATABASE {DATABASE}"))
            yield {**output, "database": DATABASE}
    finally:
        fakesnow.arrow.timestamp_to_sf_struct = plain


def opened(output: dict[str, Any]) -> Snowflake:
    """A warehouse on a target. What fakesnow has no answer to fails at once; the connector would go on trying."""
    arguments = connection_arguments(output)
    if output["account"] == ACCOUNT:
        arguments["session_parameters"]["CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED"] = False
        arguments["network_timeout"] = 5
    return Snowflake(snowflake.connector.connect(**arguments))


def _with_nulls(moments: pa.Array | pa.ChunkedArray) -> pa.StructArray:
    moments = moments.combine_chunks() if isinstance(moments, pa.ChunkedArray) else moments
    seconds = pc.floor_temporal(moments, unit="second")
    parts = [
        pc.divide(seconds.cast(pa.int64()), 1_000_000),
        pc.round(pc.multiply(pc.subsecond(moments), 1_000_000_000)).cast(pa.int32()),
    ]
    fields = [("epoch", pa.int64()), ("fraction", pa.int32())]
    if moments.type.tz:
        parts.append(pa.array([1440] * len(moments), type=pa.int32()))
        fields.append(("timezone", pa.int32()))
    return pa.StructArray.from_arrays(
        [pc.fill_null(part, 0) for part in parts],
        fields=[pa.field(name, kind, nullable=False) for name, kind in fields],
        mask=moments.is_null(),
    )
