"""What a language model is worth, from the losses it stored once; no model runs here and test decides nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from tasks.contract.evaluation import EvaluationSettings, EvaluationSummary
from tasks.contract.summaries import NamedSummary
from tasks.kinds.language.metrics import Units, measure_slices, measure_units, read_blocks
from tasks.kinds.language.token_losses import BLOCK, POSITIONS_FILE, SCORED_SPLITS, open_split
from tasks.progress import Progress, emit
from tasks.statistics.intervals import Interval
from tasks.statistics.resampling import FEW_PIECES
from tasks.store.artefacts import Artefact
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary

INPUTS = ("shards", "encoded")
# Of the tokens may be unknown before metrics per token say little of the text.
MUCH_UNKNOWN = 0.05


class LanguageEvaluationSettings(EvaluationSettings):
    """How language models are scored and compared."""

    select_by: Literal["nats_per_char", "cold_nats_per_char"] = Field(
        "nats_per_char",
        description="Validation metric that picks the best model: state carried through documents, or cold windows.",
    )


def write_evaluation(
    folder: Path, *, model: Artefact, shards: Artefact, encoded: Artefact, settings: LanguageEvaluationSettings
) -> EvaluationSummary:
    """Fill the artefact's folder: `metrics.json`."""
    name = NamedSummary.of(model).name
    units = {split: Units.of(read_blocks(model, split)) for split in SCORED_SPLITS}
    metrics = {split: measure_units(one, settings.bootstrap) for split, one in units.items()}
    sums = units["test"].sums
    result = {
        "name": name,
        "metrics": metrics,
        "units": {split: {"by": one.by, "units": one.sums.height} for split, one in units.items()},
        "slices": measure_slices(units["test"], settings.bootstrap),
        "positions": json.loads(model.file(POSITIONS_FILE).read_bytes())["test"],
    }
    (folder / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    warnings = [*find_few_units(units), *find_unread(shards, encoded)]
    # A baseline that learned nothing is not a fault of the run.
    problems = [] if model.stage == "baseline" else find_problems(name, metrics["valid"], shards)
    num_tokens = int(sums["num_tokens"].sum())
    figures = {f"test_{metric}": interval["value"] for metric, interval in metrics["test"].items()}
    emit(Progress("evaluate", name, num_tokens, num_tokens, "tokens", figures=figures, finished=True))
    return EvaluationSummary(rows=num_tokens, name=name, metrics=metrics, warnings=warnings, problems=problems)


def find_few_units(units: dict[str, Units]) -> Iterator[str]:
    """Say which splits are too short for their intervals to be trusted."""
    for split, one in units.items():
        if one.sums.height < FEW_PIECES:
            yield f"{split} has only {one.sums.height} blocks of {BLOCK} tokens: its intervals are too narrow."


def find_unread(shards: Artefact, encoded: Artefact) -> Iterator[str]:
    """Say what of the text no model has to predict: what the tokenizer drops, and tokens that it does not know."""
    vocabulary = Vocabulary.load(encoded.file("vocabulary.json"))
    dropped = list(find_dropped(vocabulary))
    if dropped:
        yield (
            f"the tokenizer drops {' and '.join(dropped)}, which no model has to predict: compare nats per character "
            "only with models that read texts in the same way."
        )
    share = measure_unknown(shards, "test")
    if share > MUCH_UNKNOWN:
        yield (
            f"{share:.1%} of the test tokens are unknown to the vocabulary: perplexity counts each as one token, nats "
            "per character add what spelling it costs."
        )


def find_dropped(vocabulary: Vocabulary) -> Iterator[str]:
    """What of a text cannot be told from its tokens."""
    if vocabulary.tokenizer == "word":
        yield "white space"
    if vocabulary.tokenizer == "space":
        yield "repeated spaces"
    if vocabulary.lowercase:
        yield "upper case"


def measure_unknown(shards: Artefact, split: str) -> float:
    """Share of a split's tokens that are outside the vocabulary."""
    return float((open_split(shards, split).tokens[1:] == UNKNOWN_ID).mean())


def find_problems(name: str, metrics: dict[str, Interval], shards: Artefact) -> list[str]:
    """Say that a model predicts validation no better than the frequencies of tokens in training do."""
    loss, chance = float(np.log(metrics["perplexity"]["value"])), measure_chance(shards)
    if loss < chance:
        return []
    return [
        f"{name} learned nothing: its validation loss of {loss:.3f} nats per token is no better than {chance:.3f}, the "
        "loss of knowing only how frequent each token is; raise training.epochs, change training.learning_rate, or add "
        "text"
    ]


def measure_chance(shards: Artefact) -> float:
    """Nats per token of validation under how frequent each token is in training, each seen once more than it was.

    Where the two splits differ so much that equal shares of all tokens are better, it is those.
    """
    size = json.loads(shards.file("streams.json").read_bytes())["vocabulary_size"]
    train, valid = (open_split(shards, split).tokens[1:] for split in ("train", "valid"))
    counts = np.bincount(train, minlength=size) + 1
    return float(min(-np.log(counts / counts.sum())[valid].mean(), np.log(size)))
