"""The predictive query language: text to a syntax tree (`parser.py`), and that bound to a schema (`binder.py`)."""
