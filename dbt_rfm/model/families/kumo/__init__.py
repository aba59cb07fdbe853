"""NVIDIA's Kumo Relational: open weights, fetched from their hub when first asked for."""

READS_ROWS = True
