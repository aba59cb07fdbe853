"""NVIDIA's Kumo Relational: open weights, fetched from their hub when first asked for."""

READS_ROWS = True
MAX_CONTEXT = 20_000  # labelled examples its weights were made for
QUICK: dict[str, object] = {}
