"""The families of models: one folder each, found by its name. Adding one touches nothing else.

Each folder has two files of the same names: `__init__.py`, which says in constants what a plan must know before any
weights are read (READS_ROWS, MAX_CONTEXT, QUICK) and in `candidates(minutes)` what `model: auto` may try; and
`family.py`, whose `load(device, options)` gives a `RelationalModel`.
"""
