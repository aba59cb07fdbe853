"""Answers larger than a process should hold: their tables in the warehouse, their parts, and who answers which."""
