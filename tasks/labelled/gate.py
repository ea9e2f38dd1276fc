"""How stage `gate` compares classifiers, whatever they read: which rows they can be compared on, and who is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tasks.contract.lineage import Lineage
from tasks.errors import plural, quoted
from tasks.labelled.labeller import Labeller
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.scoring import LabelledHoldout, Scores, build_scores, trace_holdout
from tasks.promotion.comparison import Comparison, percent
from tasks.promotion.decision import refuse_differences, refuse_other_rows
from tasks.promotion.settings import GateSettings
from tasks.promotion.verdicts import Case
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import read_serving_fields
from tasks.statistics.paired_tests import bootstrap_p_value, mcnemar_p_value
from tasks.statistics.quarters import cut_in_quarters
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

CONTENT = "content"


@dataclass(frozen=True, kw_only=True)
class AnswerComparison(Comparison):
    """Two classifiers on the same rows; slices are labels and quarters by length, with the accuracy of each.

    `won` rows only the challenger got right, `lost` rows only the champion.
    """

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "loss")
    falls_short: ClassVar[str] = "scores below"

    won: int
    lost: int

    def gain(self, metric: str) -> float:
        """How much better than the champion the challenger is in a metric."""
        return (self.won - self.lost) / self.rows if metric == "accuracy" else self.gain_over(self.champion, metric)

    def gain_over(self, other: dict, metric: str) -> float:
        """How much better than other scores the challenger's are in a metric."""
        difference = self.challenger[metric] - other[metric]
        return difference if metric == "accuracy" else -difference

    def show(self, figures: dict, metric: str) -> str:
        """One model's score, as it is written in a sentence."""
        return percent(figures["accuracy"]) if metric == "accuracy" else f"log loss {figures['loss']:.4f}"

    def show_gain(self, gain: float, metric: str) -> str:
        """A difference in points of accuracy, or in nats of log loss."""
        return f"{100 * gain:.2f} points" if metric == "accuracy" else f"{gain:.4f} nats"

    def describe_evidence(self, metric: str) -> str:  # noqa: ARG002 (rows are won whatever decides)
        """Rows, and how many of them tell the models apart."""
        return f"{self.rows:,} rows; {plural(self.won, 'row')} won, {self.lost:,} lost"

    def object_to_slice(self, part: dict, settings: GateSettings) -> Iterator[str]:
        """Yield a sentence if the challenger loses too much accuracy on a label or a quarter by length."""
        if part["champion"] - part["challenger"] > settings.max_slice_drop:
            yield (
                f"On {part['rows']:,} rows ({part['by']}: {part['slice']}) it scores {percent(part['challenger'])} "
                f"against {percent(part['champion'])}, a loss of more than "
                f"{self.show_gain(settings.max_slice_drop, 'accuracy')}."
            )


def compare_scores(
    champion: Scores, challenger: Scores, holdout: LabelledHoldout, *, anchor: dict, settings: PromotionSettings
) -> AnswerComparison:
    """Compare two models row by row; without an earlier `anchor` the champion is it."""
    won = int((challenger.hits & ~champion.hits).sum())
    lost = int((champion.hits & ~challenger.hits).sum())
    if settings.metric == "accuracy":
        p_value = mcnemar_p_value(won, lost)
    else:
        gains = champion.losses - challenger.losses
        p_value = bootstrap_p_value(gains, resamples=settings.resamples, seed=settings.seed)
    knows = holdout.labels.is_in(list(champion.labels)).to_numpy()
    slices = [_compare_slice(champion, challenger, by, name, inside) for by, name, inside in slice_holdout(holdout)]
    if not knows.all() and knows.any():
        slices.append(_compare_slice(champion, challenger, "labels", "those the champion knows", knows))
    return AnswerComparison(
        rows=holdout.rows,
        champion=champion.figures,
        challenger=challenger.figures,
        anchor=anchor or champion.figures,
        won=won,
        lost=lost,
        p_value=p_value,
        slices=slices,
        notes=tuple(_note_unknown(champion, challenger, holdout, knows)),
    )


def _note_unknown(champion: Scores, challenger: Scores, holdout: LabelledHoldout, knows: np.ndarray) -> Iterator[str]:
    """Say which rows the champion cannot answer, and how both models score on all others."""
    if knows.all():
        return
    unknown = holdout.labels.filter(pl.Series(~knows)).alias("label").value_counts(name="rows").sort("label")
    listed = ", ".join(f"{quoted(label)} ({rows} {holdout.unit})" for label, rows in unknown.rows())
    others = (
        f"; on the {knows.sum():,} others: {percent(challenger.hits[knows].mean())} against " if knows.any() else "."
    )
    figure = f"{percent(champion.hits[knows].mean())}." if knows.any() else ""
    yield f"Champion v{champion.version} does not know {listed}, which count as its mistakes{others}{figure}"


def _compare_slice(champion: Scores, challenger: Scores, by: str, name: str, inside: np.ndarray) -> dict:
    accuracies = {"champion": champion.hits[inside].mean(), "challenger": challenger.hits[inside].mean()}
    figures = {side: float(accuracy) for side, accuracy in accuracies.items()}
    return {"by": by, "slice": name, "rows": int(inside.sum()), **figures}


def slice_holdout(holdout: LabelledHoldout) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what rows are sliced by, the slice's name and a mask of its rows: labels, and quarters by length."""
    for label in holdout.labels.unique().sort():
        yield "label", label, (holdout.labels == label).to_numpy()
    for low, high, inside in cut_in_quarters(holdout.lengths):
        yield "length", f"{low:,} to {high:,} {holdout.length_unit}", inside


def refuse_incomparable(case: Case[LabelledHoldout]) -> None:
    """Raise NotComparable if the champion is of another kind, or may have been trained on the test rows."""
    refuse_other_rows(case)
    refuse_differences(case, _find_other_kind)


def _find_other_kind(model: RegisteredModel, holdout: LabelledHoldout) -> Iterator[tuple[str, str]]:
    kind = read_serving_fields(model.parts)["kind"]
    if kind != holdout.kind:
        yield f"is of kind {kind}", "set registry.model_name to an unused name"


@dataclass(frozen=True, kw_only=True)
class LabelledGate:
    """What stage `gate` needs of classifiers of a kind: which test rows are equal, and how long one is.

    labeller: how a registered model is read. content: what rows are equal by, of rows as a split has them.
    length, length_unit: how long a row is, and in what. unit: what rows are called.
    """

    labeller: type[Labeller[Any]]
    length: pl.Expr
    length_unit: str
    content: Callable[[pl.DataFrame], pl.Series] = itemgetter("text")
    unit: str = "rows"

    def read_holdout(self, lineage: Lineage) -> LabelledHoldout:
        """Read the test rows of a split, ordered by content and label."""
        rows, digest = self._read_rows(lineage.splits), self._digest_rows(lineage.splits)
        return LabelledHoldout(
            kind=self.labeller.kind,
            unit=self.unit,
            questions=self.labeller.take(rows),
            lengths=rows.select(self.length).to_series().to_numpy(),
            length_unit=self.length_unit,
            labels=rows["label"],
            digest=digest,
            **trace_holdout(lineage.splits, digest, self._digest_rows),
        )

    def score_model(self, model: RegisteredModel, holdout: LabelledHoldout) -> Scores:
        """Return a model's scores on a holdout, from the store if it was scored there before.

        Raises IntegrityError (E-INT-001) if a file of the model is damaged.
        """
        return build_scores(model, holdout, self.labeller)

    compare_scores = staticmethod(compare_scores)
    refuse_incomparable = staticmethod(refuse_incomparable)

    def _read_rows(self, splits: Artefact) -> pl.DataFrame:
        rows = pl.read_parquet(splits.file("test.parquet"))
        return rows.with_columns(self.content(rows).alias(CONTENT)).sort(CONTENT, "label")

    def _digest_rows(self, splits: Artefact) -> str:
        rows = self._read_rows(splits)
        return digest_of([rows[CONTENT].to_list(), rows["label"].to_list()])
