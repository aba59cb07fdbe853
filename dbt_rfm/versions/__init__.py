"""History, serving table and registry of a prediction; every change is one transaction (`history.py`)."""
