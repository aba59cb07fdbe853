"""The bundled in-context transformer: answers from features, without training, on a CPU."""

READS_ROWS = False
MAX_CONTEXT = 100_000  # labelled examples it reads at most
QUICK = {"thorough": False, "attended": 512}  # options of a quick answer: network and line alone, fewer attended to
FINE_TUNES = True


def candidates(minutes: float) -> dict[str, dict[str, object]]:
    """What `model: auto` tries of this family: name -> options; `minutes` for what is trained."""
    return {
        "rfm": {"model": "rfm"},
        "rfm, fine-tuned": {"model": "rfm", "fine_tune": {"minutes": minutes}},
    }
