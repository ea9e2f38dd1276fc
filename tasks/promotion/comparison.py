"""Champion and challenger on the same rows: what they score, whether the difference is luck, where it comes from."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from tasks.classification.evaluating import cut_in_quarters
from tasks.promotion.paired_tests import bootstrap_p_value, mcnemar_p_value
from tasks.promotion.scoring import Holdout, Scores
from tasks.promotion.settings import PromotionSettings


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A challenger against a champion; gains are positive where the challenger is better.

    `p_value` is that of the metric that decides, `anchor` holds the figures of the first champion that was scored on
    these rows, `slices` one record for each label and each quarter by length.
    """

    rows: int
    champion: dict
    challenger: dict
    anchor: dict
    won: int
    lost: int
    p_value: float
    slices: list[dict]

    def gain_over(self, other: dict, metric: str) -> float:
        """How much better than other figures the challenger's are in a metric."""
        difference = self.challenger[metric] - other[metric]
        return difference if metric == "accuracy" else -difference

    def gain(self, metric: str) -> float:
        """How much better than the champion the challenger is in a metric."""
        return (self.won - self.lost) / self.rows if metric == "accuracy" else self.gain_over(self.champion, metric)

    def figures(self) -> dict:
        """JSON value of everything, gains included."""
        return {**asdict(self), "gain": {metric: self.gain(metric) for metric in ("accuracy", "loss")}}


def compare_scores(
    champion: Scores, challenger: Scores, holdout: Holdout, *, anchor: dict, settings: PromotionSettings
) -> Comparison:
    """Compare two models row by row; without an earlier `anchor` the champion is it."""
    won = int((challenger.hits & ~champion.hits).sum())
    lost = int((champion.hits & ~challenger.hits).sum())
    if settings.metric == "accuracy":
        p_value = mcnemar_p_value(won, lost)
    else:
        gains = champion.losses - challenger.losses
        p_value = bootstrap_p_value(gains, resamples=settings.resamples, seed=settings.seed)
    return Comparison(
        rows=holdout.rows,
        champion=champion.figures,
        challenger=challenger.figures,
        anchor=anchor or champion.figures,
        won=won,
        lost=lost,
        p_value=p_value,
        slices=[_compare_slice(champion, challenger, by, name, inside) for by, name, inside in slice_holdout(holdout)],
    )


def _compare_slice(champion: Scores, challenger: Scores, by: str, name: str, inside: np.ndarray) -> dict:
    accuracies = {"champion": champion.hits[inside].mean(), "challenger": challenger.hits[inside].mean()}
    figures = {side: float(accuracy) for side, accuracy in accuracies.items()}
    return {"by": by, "slice": name, "rows": int(inside.sum()), **figures}


def slice_holdout(holdout: Holdout) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what rows are sliced by, the slice's name and a mask of its rows: labels, and quarters by length."""
    for label in holdout.labels.unique().sort():
        yield "label", label, (holdout.labels == label).to_numpy()
    for low, high, inside in cut_in_quarters(holdout.texts.str.len_chars().to_numpy()):
        yield "length", f"{low:,} to {high:,} characters", inside


def find_objections(comparison: Comparison, settings: PromotionSettings) -> list[str]:
    """Say in one sentence each what speaks against a challenger whose gain is no luck."""
    return [
        *_objections_to_gain(comparison, settings),
        *_objections_of_slices(comparison, settings),
        *_objections_of_anchor(comparison, settings),
    ]


def _objections_to_gain(comparison: Comparison, settings: PromotionSettings) -> Iterator[str]:
    metric, gain = settings.metric, comparison.gain(settings.metric)
    if not gain >= settings.min_effect:
        least = in_units(settings.min_effect, metric)
        yield f"The gain is {in_units(gain, metric)}, less than the {least} that are worth a change."


def _objections_of_slices(comparison: Comparison, settings: PromotionSettings) -> Iterator[str]:
    for one in comparison.slices:
        if one["rows"] >= settings.min_slice_rows and one["champion"] - one["challenger"] > settings.max_slice_drop:
            yield (
                f"On {one['rows']:,} rows ({one['by']}: {one['slice']}) it scores {percent(one['challenger'])} against "
                f"{percent(one['champion'])}, a loss of more than {in_units(settings.max_slice_drop, 'accuracy')}."
            )


def _objections_of_anchor(comparison: Comparison, settings: PromotionSettings) -> Iterator[str]:
    metric, anchor = settings.metric, comparison.anchor
    if comparison.gain_over(anchor, metric) < -settings.anchor_tolerance:
        yield (
            f"It scores below version {anchor['version']}, the first champion on these rows: "
            f"{shown(comparison.challenger, metric)} against {shown(anchor, metric)}."
        )


def percent(share: float) -> str:
    """`91.23 %`."""
    return f"{100 * share:.2f} %"


def in_units(difference: float, metric: str) -> str:
    """A difference in points of accuracy, or in nats of log loss."""
    return f"{100 * difference:.2f} points" if metric == "accuracy" else f"{difference:.4f} nats"


def shown(figures: dict, metric: str) -> str:
    """One model's figure, as it stands in a sentence."""
    return percent(figures["accuracy"]) if metric == "accuracy" else f"log loss {figures['loss']:.4f}"
