"""Language models as candidates: their network, the streams they read, what each token costs them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
from tasks.contract.candidate import Candidate
from tasks.contract.initial import describe_start, open_initial
from tasks.kinds.language.summaries import StreamSummary
from tasks.kinds.language.token_losses import SCORED_SPLITS, TokenLosses, write_losses
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.language.language_model import LanguageModel
    from rnnmodels.language.token_streams import TokenStream

SPLITS = ("train", *SCORED_SPLITS)


class LanguageCandidate(Candidate):
    """A language model to train, and how."""

    model: LanguageArchitecture = Field(LanguageArchitecture(), description="The network.")
    training: LanguageTraining = Field(LanguageTraining(), description="How it is fitted.")


def open_data(candidate: LanguageCandidate, shards: Artefact) -> "dict[str, TokenStream]":
    """Memory-map the verified streams of each split."""
    from rnnmodels.language.token_streams import open_stream

    training = candidate.training
    return {
        split: open_stream(
            shards.file(f"{split}.arrow"),
            shards.file(f"{split}-documents.arrow"),
            bptt=training.bptt,
            random_bptt=training.random_bptt,
            backward=candidate.model.direction == "backward",
        )
        for split in SPLITS
    }


def create_model(
    candidate: LanguageCandidate,
    data: "dict[str, TokenStream]",
    shards: Artefact,
    initial: Artefact | None = None,
) -> "LanguageModel":
    """Make the candidate's network with its initial weights, a function of seed and `initial`."""
    from rnnmodels.language.language_model import LanguageModel

    size = StreamSummary.of(shards).vocabulary_size
    model = LanguageModel(candidate.model, vocabulary_size=size, seed=candidate.training.seed)
    if candidate.training.sampled_tokens:
        model.count_tokens(data["train"].tokens)
    if initial is not None:
        _start_from_champion(model, candidate, initial)
    return model


def finish_model(
    folder: Path, model: "LanguageModel", data: "dict[str, TokenStream]", candidate: LanguageCandidate
) -> dict[str, int]:
    """Store what each token of the rows kept back costs the model, by block and by position."""
    losses = {}
    for split in SCORED_SPLITS:
        emit(Progress("fit", candidate.name, note=f"scoring the {split} rows"))
        same = next((name for name in losses if data[name].digest == data[split].digest), None)
        losses[split] = losses[same] if same else measure_losses(model, data[split])
    write_losses(folder, losses)
    return {"rows": sum(data[split].num_rows for split in SCORED_SPLITS)}


def measure_losses(model: "LanguageModel", stream: "TokenStream") -> TokenLosses:
    """Score each token of a stream under both protocols."""
    from rnnmodels.language.scoring import score_cold, score_stream
    from rnnmodels.language.token_streams import reverse_documents

    scored = [score_stream(model, stream), score_cold(model, stream)]
    if model.architecture.direction == "backward":
        # Blocks and positions are those of the text, whichever way it was read.
        scored = [reverse_documents(np.append(0, nats), stream.documents.start)[1:] for nats in scored]
    return TokenLosses(documents=stream.documents, nats=scored[0], cold_nats=scored[1])


def _start_from_champion(model: "LanguageModel", candidate: LanguageCandidate, initial: Artefact) -> None:
    from rnnmodels.language.warm_start import start_from

    folder, ids = open_initial(initial)
    emit(Progress("fit", candidate.name, note=describe_start(start_from(model, folder, token_ids=ids["tokens"]))))
