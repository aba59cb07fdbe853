"""The bundled in-context transformer: answers from features, without training, on a CPU."""

READS_ROWS = False
MAX_CONTEXT = 10_000  # labelled examples it reads at most
QUICK = {"thorough": False, "attended": 512}  # options of a quick answer: network and line alone, fewer attended to
FINE_TUNES = True
