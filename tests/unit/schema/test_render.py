"""The schema for human eyes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dbt_rfm.schema.render import mermaid, role, schema_table


def printed(schema) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(schema_table(schema))
    return out.getvalue()


@pytest.fixture
def guessed(declared_shop):
    declared_shop.table("tickets", "select range as id, range % 5 as customer_id, now() as opened_at from range(10)")
    return declared_shop.schema()


def test__role__declared_and_guessed__told_apart(guessed):
    def of(table, column):
        return role(guessed, guessed.table(table), guessed.table(table).column(column))

    assert of("orders", "order_id") == "key"
    assert of("orders", "ordered_at") == "time"
    assert of("orders", "customer_id") == "-> customers.customer_id"
    assert of("orders", "total") == ""
    assert of("tickets", "id") == "key ?"
    assert of("tickets", "opened_at") == "time ?"
    assert of("tickets", "customer_id") == "-> customers.customer_id ?"


def test__table__every_column_on_a_line_with_its_type(guessed):
    lines = printed(guessed).splitlines()
    total = next(line for line in lines if "total" in line)
    assert "DECIMAL" in total and "numerical" in total
    assert sum(len(table.columns) for table in guessed.tables) == len([line for line in lines if line.strip()]) - 1


def test__table__names_with_markup__printed_as_they_are(shop):
    shop.table("odd", 'select 1 as id, 2 as "[red]x[/red]"')
    assert "[red]x[/red]" in printed(shop.schema())


def test__mermaid__diagram__exact(guessed):
    assert mermaid(guessed) == (
        "erDiagram\n"
        '    customers ||--o{ orders : "customer_id"\n'
        '    customers ||..o{ tickets : "customer_id (inferred)"\n'
        "    customers {\n"
        "        id customer_id PK\n"
        "        categorical city\n"
        "    }\n"
        "    orders {\n"
        "        id order_id PK\n"
        "        id customer_id FK\n"
        '        timestamp ordered_at "time"\n'
        "        numerical total\n"
        "    }\n"
        "    tickets {\n"
        '        id id PK "inferred"\n'
        "        id customer_id FK\n"
        '        timestamp opened_at "time inferred"\n'
        "    }\n"
    )


def test__mermaid__names_it_cannot_take__replaced(shop):
    shop.table("odd", 'select 1 as id, 2 as "a b""c"')
    assert "numerical a_b_c" in mermaid(shop.schema())
