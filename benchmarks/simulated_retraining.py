"""Models whose true quality is known, judged by the real gate: how often it is wrong, and what that costs.

A model answers a row rightly if its quality, the row's difficulty and luck of its own add up to more than nothing
(a probit model). So the share of rows on which two equal models differ can be set to what real retrains show.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import polars as pl

from tasks.labelled.gate import compare_scores
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.scoring import LabelledHoldout, Scores
from tasks.promotion.comparison import Comparison
from tasks.promotion.decision import crown_first, decide_on
from tasks.promotion.ledger import Draft, Entry
from tasks.promotion.standing import find_anchor
from tasks.promotion.verdicts import Case, Challenge, Verdict
from tasks.promotion.wear import alpha_of_decision

SHARED = 0.9  # share of the variance of an answer that is the row's difficulty


@dataclass
class World:
    """A holdout of random rows, the ledger of decisions on it, and the quality of each version that was judged."""

    generator: np.random.Generator
    num_rows: int
    settings: PromotionSettings
    entries: list[Entry] = field(default_factory=list)
    scores: dict[str, Scores] = field(default_factory=dict)
    accuracy_of: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.difficulty = self.generator.normal(size=self.num_rows)
        lengths = self.generator.integers(5, 200, self.num_rows)
        labels = pl.Series(self.generator.choice(["neg", "pos"], self.num_rows))
        self.holdout = LabelledHoldout(
            kind="classify", questions=[], lengths=lengths, length_unit="characters", labels=labels, digest="rows"
        )

    @property
    def champion(self) -> str:
        """The version that is champion now."""
        return self.entries[-1].champion

    def train(self, accuracy: float) -> Scores:
        """Make a version that is right on this share of all rows there are, and score it on the holdout."""
        version = str(len(self.accuracy_of) + 1)
        luck = self.generator.normal(size=self.num_rows)
        margin = statistics.NormalDist().inv_cdf(accuracy)
        margin = margin + SHARED**0.5 * self.difficulty + (1 - SHARED) ** 0.5 * luck
        losses = np.log1p(np.exp(-2 * margin))
        self.accuracy_of[version] = accuracy
        self.scores[version] = Scores(
            version=version, hits=margin > 0, losses=losses, undefined=0, labels=("neg", "pos")
        )
        return self.scores[version]

    def judge(self, scores: Scores) -> Verdict:
        """Have the gate decide on a version, and write its verdict down."""
        challenge = Challenge(
            model="m",
            version=scores.version,
            content=f"content-{scores.version}",
            holdout=self.holdout,
            splits="",
            trigger="",
            flow_run="",
            mlflow_run="",
        )
        case = Case(entries=self.entries, challenge=challenge, settings=self.settings)
        verdict = decide_on(case, self._compare(scores)) if self.entries else crown_first(case, scores)
        self.entries.append(_entry(case.draft(verdict), len(self.entries) + 1))
        return verdict

    def _compare(self, scores: Scores) -> Comparison:
        champion, anchor = self.scores[self.champion], find_anchor(self.entries, "rows")
        return compare_scores(champion, scores, self.holdout, anchor=anchor, settings=self.settings)


@dataclass(frozen=True)
class Career:
    """One simulated life of a model: how often it was replaced, and what the last champion is truly worth."""

    promotions: int
    first_accuracy: float
    last_accuracy: float
    newest_accuracy: float
    disagreement: float

    @property
    def lost(self) -> bool:
        """Whether the last champion is truly worse than the first."""
        return self.last_accuracy < self.first_accuracy


def live(accuracies: Sequence[float], *, num_rows: int, settings: PromotionSettings, seed: int) -> Career:
    """Train and judge versions of these true accuracies, one after another, on one holdout."""
    world = World(np.random.default_rng(seed), num_rows, settings)
    verdicts = [world.judge(world.train(accuracy)) for accuracy in accuracies]
    first, second = world.scores["1"].hits, world.scores["2"].hits
    return Career(
        promotions=sum(verdict.verdict == "promoted" for verdict in verdicts),
        first_accuracy=accuracies[0],
        last_accuracy=world.accuracy_of[world.champion],
        newest_accuracy=accuracies[-1],
        disagreement=float((first != second).mean()),
    )


def live_often(
    accuracies: Sequence[float], *, times: int, num_rows: int, settings: PromotionSettings, seed: int = 1
) -> Iterator[Career]:
    """Repeat a career on as many independent holdouts."""
    for repetition in range(times):
        yield live(accuracies, num_rows=num_rows, settings=settings, seed=seed * 1_000_003 + repetition)


def promoted_share(
    gain: float, *, times: int, num_rows: int, settings: PromotionSettings, number: int = 1, accuracy: float = 0.9
) -> float:
    """Share of challengers better by a gain that are promoted in the decision of that number on its rows."""
    at_number = replace_alpha(settings, settings.alpha / number)
    careers = live_often([accuracy, accuracy + gain], times=times, num_rows=num_rows, settings=at_number)
    return statistics.mean(career.promotions for career in careers)


def replace_alpha(settings: PromotionSettings, alpha: float) -> PromotionSettings:
    """The same settings with another alpha."""
    return settings.model_copy(update={"alpha": alpha})


def _entry(draft: Draft, number: int) -> Entry:
    return Entry(**asdict(draft), number=number, created="", predecessor="", digest="")


def most_false_promotions(alpha: float, num_decisions: int) -> float:
    """Bound of the average number of equal challengers promoted in as many decisions on the same rows."""
    return sum(alpha_of_decision(alpha, number) for number in range(1, num_decisions + 1))
