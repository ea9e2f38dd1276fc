"""What stage `gate` needs of language models: both on the same test text, in nats per character.

Totals over characters compare models of characters, words and subwords alike, but only if the same text had to be
predicted: a model whose tokenizer drops white space or case has less to tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.kinds.language.evaluate import find_dropped
from tasks.kinds.language.holdout import LanguageHoldout, read_holdout
from tasks.kinds.language.metrics import slice_by_part
from tasks.kinds.language.promotion import LanguagePromotionSettings
from tasks.kinds.language.served_language_model import ServedLanguageModel
from tasks.promotion import scoring
from tasks.promotion.comparison import Comparison
from tasks.promotion.decision import NotComparable, refuse_differences, refuse_other_rows
from tasks.promotion.settings import GateSettings
from tasks.promotion.verdicts import Case
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import read_serving_fields
from tasks.statistics.paired_tests import bootstrap_p_value
from tasks.statistics.quarters import cut_in_quarters
from tasks.store.artefacts import Artefact

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]

KIND = "language"
TEXTS_FILE = "texts.parquet"
WHOLE = "whole texts"


class ReadSummary(scoring.ScoredSummary):
    """What a model was asked, and what of a text it has to predict."""

    reading: str


@dataclass(frozen=True, kw_only=True)
class LanguageScores(scoring.Scores):
    """One model on a holdout: `num_chars` and `nats` of each text, and what of it had to be predicted."""

    texts: pl.DataFrame
    reading: str

    @classmethod
    def read(cls, artefact: Artefact, model: RegisteredModel) -> "LanguageScores":
        """Read what was stored of a version."""
        summary, texts = ReadSummary.of(artefact), pl.read_parquet(artefact.file(TEXTS_FILE))
        return cls(version=model.version, undefined=summary.undefined, texts=texts, reading=summary.reading)

    @property
    def figures(self) -> dict:
        """Version, nats per character, and what they are nats of."""
        nats, num_chars = self.texts.select("nats", "num_chars").sum().row(0)
        return {"version": self.version, "nats_per_char": nats / num_chars, "reading": self.reading}

    @property
    def headline(self) -> str:
        """Nats per character."""
        return show_nats(self.figures["nats_per_char"])


@dataclass(frozen=True, kw_only=True)
class LanguageComparison(Comparison):
    """Two language models on the same text; slices are quarters of it, with the nats per character of each."""

    metrics: ClassVar[tuple[str, ...]] = ("nats_per_char",)
    falls_short: ClassVar[str] = "predicts worse than"

    unit: str

    def gain_over(self, other: dict, metric: str) -> float:
        """How much less than another model's a character costs."""
        return other[metric] - self.challenger[metric]

    def show(self, figures: dict, metric: str) -> str:
        """One model's score, as it is written in a sentence."""
        return show_nats(figures[metric])

    def show_gain(self, gain: float, metric: str) -> str:  # noqa: ARG002 (there is one)
        """A difference in nats per character."""
        return show_nats(gain)

    def describe_evidence(self, metric: str) -> str:
        """Texts, and how much less a character costs on them."""
        return f"{self.rows:,} {self.unit}; a gain of {self.gain(metric):.4f}"

    def object_to_slice(self, part: dict, settings: GateSettings) -> Iterator[str]:
        """Yield a sentence if a character of a quarter of the text costs too much more."""
        if part["challenger"] - part["champion"] > settings.max_slice_drop:
            yield (
                f"On {part['rows']:,} {self.unit} ({part['by']}: {part['slice']}) it has "
                f"{show_nats(part['challenger'])} against {part['champion']:.4f}, a loss of more than "
                f"{settings.max_slice_drop:g}."
            )


def show_nats(nats_per_char: float) -> str:
    """`1.4693 nats per character`."""
    return f"{nats_per_char:.4f} nats per character"


def score_model(model: RegisteredModel, holdout: LanguageHoldout) -> LanguageScores:
    """Return what a holdout costs a model, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    write = partial(write_texts, parts=model.parts, holdout=holdout)
    modules = (__name__, ServedLanguageModel.__module__)
    return LanguageScores.read(scoring.build_scores(write, model, holdout, module=modules), model)


def write_texts(folder: Path, *, parts: Path, holdout: LanguageHoldout) -> ReadSummary:
    """Fill the artefact's folder: `texts.parquet` with `num_chars` and `nats` of each text."""
    served = ServedLanguageModel.load(parts)
    scored = served.score_texts(holdout.texts).select("num_chars", "nats")
    scored.write_parquet(folder / TEXTS_FILE)
    undefined = scored.filter(~pl.col("nats").is_finite()).height
    return ReadSummary(rows=scored.height, undefined=undefined, reading=describe_reading(served))


def describe_reading(served: ServedLanguageModel) -> str:
    """What of a text a model has to predict."""
    dropped = list(find_dropped(served.vocabulary))
    text = f"texts without {' and '.join(dropped)}" if dropped else WHOLE
    return f"{text} and their ends" if served.serving.closed else text


def compare_scores(
    champion: LanguageScores,
    challenger: LanguageScores,
    holdout: LanguageHoldout,
    *,
    anchor: dict,
    settings: LanguagePromotionSettings,
) -> LanguageComparison:
    """Compare two models text by text; an `anchor` that had to predict something else does not count.

    Raises NotComparable if the two did not have to predict the same.
    """
    if champion.reading != challenger.reading:
        raise NotComparable(
            f"refused: champion v{champion.version} predicts {champion.reading}, and v{challenger.version} "
            f"{challenger.reading}, so that their nats per character are not those of the same text.",
            "Fix: set encode.tokenizer, encode.lowercase and shard.join_documents as for the champion, or "
            "registry.model_name to an unused name.",
        )
    paired = pl.DataFrame(
        {
            "num_chars": champion.texts["num_chars"].cast(pl.Float64),
            "champion": champion.texts["nats"],
            "challenger": challenger.texts["nats"],
        }
    )
    gains = (paired["champion"] - paired["challenger"]).to_numpy()
    return LanguageComparison(
        unit=holdout.unit,
        rows=holdout.rows,
        champion=champion.figures,
        challenger=challenger.figures,
        anchor=anchor if anchor.get("reading") == champion.reading else champion.figures,
        p_value=bootstrap_p_value(gains, resamples=settings.resamples, seed=settings.seed),
        slices=[compare_slice(paired, by, name, inside) for by, name, inside in slice_holdout(holdout)],
    )


def slice_holdout(holdout: LanguageHoldout) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what texts are sliced by, the slice's name and a mask: quarters by length, or by part of the text."""
    if holdout.are_passages:
        yield from slice_by_part(holdout.rows)
        return
    for low, high, inside in cut_in_quarters(np.array([len(text) for text in holdout.texts])):
        yield "length", f"{low:,} to {high:,} characters", inside


def compare_slice(paired: pl.DataFrame, by: str, name: str, inside: np.ndarray) -> dict:
    """Nats per character of both on a slice."""
    part = paired.filter(pl.Series(inside))
    figures = part.select(pl.col("champion", "challenger").sum() / pl.col("num_chars").sum()).row(0, named=True)
    return {"by": by, "slice": name, "rows": part.height, **figures}


def refuse_incomparable(case: Case[LanguageHoldout]) -> None:
    """Raise NotComparable if the champion is of another kind, or may have been trained on the test text."""
    refuse_other_rows(case)
    refuse_differences(case, find_other_kind)


def find_other_kind(model: RegisteredModel, holdout: LanguageHoldout) -> Iterator[tuple[str, str]]:  # noqa: ARG001
    """Yield that a champion is of another kind, with a remedy."""
    kind = read_serving_fields(model.parts)["kind"]
    if kind != KIND:
        yield f"is of kind {kind}", "set registry.model_name to an unused name"
