"""What a model wrote at the end of its epochs."""

import json

from tasks.store.artefacts import Artefact
from tasks.text.vocabulary import Vocabulary

SAMPLES_SHOWN = 6
SAMPLE_CHARS = 320


def read_samples(model: Artefact, vocabulary: Vocabulary, *, best_epoch: int) -> list[dict]:
    """Texts of some epochs, the best and the last among them: epoch, valid_loss, text, is_best."""
    written = [one for one in json.loads(model.file("history.json").read_bytes()) if one.get("sample")]
    return [
        {
            "epoch": one["epoch"],
            "valid_loss": one["valid_loss"],
            "text": shorten(vocabulary.text_of(one["sample"])),
            "is_best": one["epoch"] == best_epoch,
        }
        for one in choose_epochs(written, best_epoch)
    ]


def choose_epochs(written: list[dict], best_epoch: int) -> list[dict]:
    """The first epochs, of which each is twice as late as the one before, the best and the last."""
    if len(written) <= SAMPLES_SHOWN:
        return written
    wanted = [
        best_epoch,
        written[-1]["epoch"],
        *(written[2**power - 1]["epoch"] for power in range(SAMPLES_SHOWN) if 2**power <= len(written)),
    ]
    kept = set(list(dict.fromkeys(wanted))[:SAMPLES_SHOWN])
    return [one for one in written if one["epoch"] in kept]


def shorten(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= SAMPLE_CHARS else f"{text[:SAMPLE_CHARS]}…"
