"""The bundled in-context transformer: answers from features, without training, on a CPU."""

READS_ROWS = False
