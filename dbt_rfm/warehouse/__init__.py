"""What a prediction needs of a warehouse (`base.py`), on DuckDB, Postgres and Snowflake."""
