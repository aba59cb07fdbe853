"""The bench: a folder of real databases with label tables in, figures beside baselines and published ones out.

    suite.py     dataset.yml -> tables in an in-memory DuckDB and their RelationalSchema
    examples.py  which labelled rows are context and which are queried, by protocol and split
    run.py       a task -> a Result
    peers.py     entity history and constant; LightGBM and logistic regression on the same features and context
    bootstrap.py intervals of a figure, and of its paired difference to a peer
    report.py    JSON and the printed table, beside the figures of BASELINES.md

Two protocols, never mixed. *rolling*: a queried row sees every row up to its own anchor. *frozen*: the database and
the labels are cut at the split's timestamp. Either way the context is labels known by the first queried anchor.
"""
