"""SQL for the warehouse: anchors, labels, examples, features, neighbourhoods, all as of each example's anchor.

Everything here returns sqlglot expressions and runs nothing; `collect.py` runs them.
"""
