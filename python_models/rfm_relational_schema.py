"""The relational schema of the project as a table: one row per column, with the table each link points at.

Off by default: set the var dbt_rfm_python_models to true, and run it once the tables of the var dbt_rfm_graph are
built, since a model of a package cannot depend on models it does not know. DuckDB only.
"""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_rfm.relational_schema import relational_schema

    return relational_schema(session, dbt.config.meta_get("rfm_graph"))
