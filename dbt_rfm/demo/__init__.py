"""The example for newcomers: a simulated shop and the dbt project around it.

`world.py` draws who is there (stores, products, customers and what nobody can see of them), `shop.py` lives through two
years of it day by day and writes Parquet, `project.py` sets the dbt project up in a folder. Nothing in here is used by
predictions.
"""
