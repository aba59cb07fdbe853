"""The relational schema: what the project declares, completed from names, types and data (`from_job.py`)."""
