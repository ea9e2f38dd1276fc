"""How a kind's scores are put before people, in the terminal, in the dashboards and in the report alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.statistics.intervals import Interval

ABSENT = "-"


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """A metric in a table: `scale` turns it into the unit of its title, rounded to `digits`.

    On the page of the report it stands in its own unit, rounded to `page_digits`. A metric that `ranks` says which of
    two models is better.
    """

    metric: str
    title: str
    scale: float = 1
    digits: int = 3
    page_digits: int = 4
    ranks: bool = True

    def show(self, metrics: Mapping[str, Interval]) -> str:
        """An estimate with its interval, as in `90.7 [89.6, 91.8]`; a dash where the metric is undefined."""
        if self.metric not in metrics:
            return ABSENT
        value, low, high = (self._round(metrics[self.metric][bound]) for bound in ("value", "low", "high"))
        return f"{value} [{low}, {high}]"

    def show_value(self, metrics: Mapping[str, Interval]) -> str:
        """The estimate alone."""
        return self._round(metrics[self.metric]["value"]) if self.metric in metrics else ABSENT

    def compare(self, theirs: Mapping[str, Interval], ours: Mapping[str, Interval]) -> str:
        """Two models' estimates in a sentence, as in `accuracy 90.7 % against 88.1 %`; rounded, they still differ."""
        name, _, unit = self.title.partition(", ")
        values = [metrics[self.metric]["value"] for metrics in (theirs, ours)]
        shown = list(map(self._round, values))
        if len(set(shown)) == 1:
            shown = [f"{self.scale * value:.5g}" for value in values]
        return f"{name} " + " against ".join(f"{one} {unit}".rstrip() for one in shown)

    def show_difference(self, interval: Interval) -> str:
        """A difference between two models with its interval, as in `-0.158 [-0.212, -0.104]`."""
        form = "+.2g" if abs(self.scale * interval["value"]) < 10**-self.digits else f"+.{self.digits}f"
        value, low, high = (format(self.scale * interval[bound], form) for bound in ("value", "low", "high"))
        return f"{value} [{low}, {high}]"

    def _round(self, value: float) -> str:
        scaled = self.scale * value
        is_tiny = 0 < abs(scaled) < 10**-self.digits
        return f"{scaled:.1e}" if is_tiny else f"{scaled:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """What a kind shows of its scores, and how one tries its registered model.

    headline: the columns of short tables, the first of which people look at first; columns: those of the report.
    template: the file of its page, which extends `report.html.j2`, or that of other classifiers.
    trial: what one may do with the model, and how: in the shell command `{predict}` stands for its start, and
    `{example}` for an input. beaten: what is said of a baseline that wins on validation, after its name; outdone: the
    same of one that is better on test than the chosen candidate, whose name follows.
    """

    headline: tuple[ScoreColumn, ...]
    columns: tuple[ScoreColumn, ...]
    template: Path
    trial: tuple[str, str]
    beaten: str = (
        "scores better on validation by evaluate.select_by: a simple model is enough here, or the candidates need more "
        "training."
    )
    outdone: str = "is better on test than"


def keep_measured(columns: Iterable[ScoreColumn], metrics: Sequence[Mapping[str, Interval]]) -> list[ScoreColumn]:
    """The columns whose metric any model has, given the metrics of all on one split."""
    return [column for column in columns if any(column.metric in one for one in metrics)]
