"""NVIDIA's Kumo Relational: open weights, fetched from their hub when first asked for."""

READS_ROWS = True
MAX_CONTEXT = 20_000  # labelled examples its weights were made for
QUICK: dict[str, object] = {}
REPOSITORY, REVISION = "nvidia/Kumo-Relational", "v1.0.1"


def candidates(minutes: float) -> dict[str, dict[str, object]]:
    """Only where its weights have been fetched before: nothing is downloaded unasked."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return {}
    there = isinstance(try_to_load_from_cache(REPOSITORY, "classifier.pt", revision=REVISION), str)
    return {"kumo": {"model": "kumo"}} if there else {}
