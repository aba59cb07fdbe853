"""The bundled in-context transformer: answers from features, without training, on a CPU."""

READS_ROWS = False
MAX_CONTEXT = 100_000  # labelled examples it reads at most
RARE_CONTEXT = 60_000  # of a rare event where nobody says how many; tried up to 57,934
#: Options of a quick answer: network and line alone, over fewer rows and columns (docs/LOG.md says what that costs).
QUICK = {"thorough": False, "attended": 256, "columns": 24}
FINE_TUNES = True


def candidates(minutes: float) -> dict[str, dict[str, object]]:
    """What `model: auto` tries of this family: name -> options; `minutes` for what is trained."""
    return {
        "rfm": {"model": "rfm"},
        "rfm, fine-tuned": {"model": "rfm", "fine_tune": {"minutes": minutes}},
    }
