"""Champion and challenger on the same rows: what they score, whether the difference is luck, what speaks against it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from tasks.promotion.settings import GateSettings


@dataclass(frozen=True, kw_only=True)
class Comparison(ABC):
    """A challenger against a champion; gains are positive where the challenger is better.

    `p_value` is that of the metric that decides, `anchor` holds the scores of the first champion that was scored on
    these rows, `slices` one record for each part of the rows that may be checked: by, slice, rows, champion,
    challenger; `notes` say on which rows a model could not be right. A kind says what its scores mean and how they
    are shown.
    """

    metrics: ClassVar[tuple[str, ...]]
    falls_short: ClassVar[str]

    rows: int
    champion: dict[str, Any]
    challenger: dict[str, Any]
    anchor: dict[str, Any]
    p_value: float
    slices: list[dict[str, Any]]
    notes: tuple[str, ...] = ()

    def gain(self, metric: str) -> float:
        """How much better than the champion the challenger is in a metric."""
        return self.gain_over(self.champion, metric)

    @abstractmethod
    def gain_over(self, other: dict[str, Any], metric: str) -> float:
        """How much better than other scores the challenger's are in a metric."""

    @abstractmethod
    def show(self, figures: dict[str, Any], metric: str) -> str:
        """One model's score, as it is written in a sentence."""

    @abstractmethod
    def show_gain(self, gain: float, metric: str) -> str:
        """A gain with its unit."""

    @abstractmethod
    def describe_evidence(self, metric: str) -> str:
        """On how many rows the models were compared, and the outcome."""

    @abstractmethod
    def object_to_slice(self, part: dict[str, Any], settings: GateSettings) -> Iterator[str]:
        """Yield a sentence if the challenger loses too much on a checked part of the rows."""

    def figures(self) -> dict[str, Any]:
        """JSON value of everything, gains included."""
        return {**asdict(self), "gain": {metric: self.gain(metric) for metric in self.metrics}}


def find_objections(comparison: Comparison, settings: GateSettings) -> list[str]:
    """Say in one sentence each what speaks against a challenger whose gain is significant."""
    watched = [part for part in comparison.slices if part["rows"] >= settings.min_slice_rows]
    return [
        *_object_to_gain(comparison, settings),
        *(sentence for part in watched for sentence in comparison.object_to_slice(part, settings)),
        *_object_to_anchor(comparison, settings),
    ]


def percent(share: float) -> str:
    """`91.23 %`."""
    return f"{100 * share:.2f} %"


def _object_to_gain(comparison: Comparison, settings: GateSettings) -> Iterator[str]:
    metric, gain = settings.metric, comparison.gain(settings.metric)
    if not gain >= settings.min_effect:
        least = comparison.show_gain(settings.min_effect, metric)
        yield f"The gain is {comparison.show_gain(gain, metric)}, less than the minimum of {least}."


def _object_to_anchor(comparison: Comparison, settings: GateSettings) -> Iterator[str]:
    metric, anchor = settings.metric, comparison.anchor
    if comparison.gain_over(anchor, metric) < -settings.anchor_tolerance:
        yield (
            f"It {comparison.falls_short} version {anchor['version']}, the first champion on these rows: "
            f"{comparison.show(comparison.challenger, metric)} against {comparison.show(anchor, metric)}."
        )
