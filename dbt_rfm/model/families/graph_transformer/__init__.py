"""A graph transformer trained for one task on the rows around its examples: no weights come with the package."""

READS_ROWS = True
MAX_CONTEXT = 40_000  # labelled examples with rows that a snapshot can hold beside its queries
TRAINS = True
QUICK: dict[str, object] = {"minutes": 0.5, "members": 1}  # options of a quick answer


def candidates(minutes: float) -> dict[str, dict[str, object]]:
    return {"graph_transformer": {"model": "graph_transformer", "model_options": {"minutes": minutes}}}
