"""A plan is run on a warehouse: which examples, with which labels and features, as one snapshot (`snapshots.py`)."""
