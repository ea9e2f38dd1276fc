"""Language models without a network: how frequent tokens are, and interpolated n-grams."""

import json
import time
from functools import partial
from pathlib import Path

from pydantic import Field

from rnnmodels.config import Settings
from tasks.contract.summaries import ModelSummary
from tasks.kinds.language.ngrams import Targets, choose_fit, score_by_order
from tasks.kinds.language.token_losses import SCORED_SPLITS, TokenLosses, open_split, write_losses
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

INPUTS = ("shards",)


class LanguageBaselineSettings(Settings):
    """N-grams with modified Kneser-Ney smoothing; their order is chosen on validation."""

    max_order: int = Field(
        8, ge=2, le=20, description="Longest n-gram, in tokens; orders are added while the validation loss falls."
    )
    max_tokens: int = Field(
        20_000_000, ge=1, le=1_000_000_000, description="Training tokens that are counted, from the first on."
    )


def write_ngrams(
    folder: Path, *, shards: Artefact, settings: LanguageBaselineSettings, name: str, max_order: int | None = None
) -> ModelSummary:
    """Fill the artefact's folder with what tokens cost under n-grams of at most an order; by default the settings'."""
    started = time.perf_counter()
    size = json.loads(shards.file("streams.json").read_bytes())["vocabulary_size"]
    streams = {split: open_split(shards, split) for split in SCORED_SPLITS}
    train = Targets.of(open_split(shards, "train"))
    counted = train.head(settings.max_tokens)
    valid, test = (Targets.of(stream) for stream in streams.values())
    fits = score_by_order(counted, valid.followed_by(test), vocabulary_size=size)
    fit = choose_fit(fits, num_valid=len(valid.token), max_order=max_order or settings.max_order)
    parts = {"valid": slice(len(valid.token)), "test": slice(len(valid.token), None)}
    losses = {
        split: TokenLosses(documents=streams[split].documents, nats=fit.nats[part], cold_nats=fit.cold_nats[part])
        for split, part in parts.items()
    }
    write_losses(folder, losses)
    (folder / "history.json").write_text(json.dumps([]), encoding="utf-8")
    rows = len(fit.nats)
    emit(Progress("baseline", name, rows, rows, "tokens", finished=True))
    warnings = [
        f"{name} counts the first {len(counted.token):,} of {len(train.token):,} training tokens (baseline.max_tokens)"
    ] * (len(counted.token) < len(train.token))
    return ModelSummary(
        rows=rows,
        name=name,
        train_s=round(time.perf_counter() - started, 3),
        order=fit.order,
        num_ngrams=fit.num_ngrams,
        warnings=warnings,
    )


BASELINES = {
    "unigram": partial(write_ngrams, name="unigram", max_order=1),
    "ngram": partial(write_ngrams, name="ngram"),
}
