"""How a kind's scores are put before people, in the terminal, in the dashboards and in the report alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.intervals import Interval

ABSENT = "-"


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """A metric in a table: `scale` turns it into the unit of its title, rounded to `digits`.

    On the page of the report it stands in its own unit, rounded to `page_digits`.
    """

    metric: str
    title: str
    scale: float = 1
    digits: int = 3
    page_digits: int = 4

    def show(self, metrics: Mapping[str, Interval]) -> str:
        """An estimate with its interval, as in `90.7 [89.6, 91.8]`; a dash where the metric is undefined."""
        if self.metric not in metrics:
            return ABSENT
        value, low, high = (self._round(metrics[self.metric][bound]) for bound in ("value", "low", "high"))
        return f"{value} [{low}, {high}]"

    def show_value(self, metrics: Mapping[str, Interval]) -> str:
        """The estimate alone."""
        return self._round(metrics[self.metric]["value"]) if self.metric in metrics else ABSENT

    def _round(self, value: float) -> str:
        return f"{self.scale * value:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """What a kind shows of its scores, and how one tries its registered model.

    headline: the columns of short tables, the first of which people look at first; columns: those of the report.
    trial: what one may do with the model, and how: in the shell command `{predict}` stands for its start, and
    `{example}` for an input. beaten: what is said of a baseline that wins on validation, after its name.
    """

    headline: tuple[ScoreColumn, ...]
    columns: tuple[ScoreColumn, ...]
    template: str
    trial: tuple[str, str]
    beaten: str = "scores better: a simple model is enough here, or the candidates need more training."


def keep_measured(columns: Iterable[ScoreColumn], metrics: Sequence[Mapping[str, Interval]]) -> list[ScoreColumn]:
    """The columns whose metric any model has, given the metrics of all on one split."""
    return [column for column in columns if any(column.metric in one for one in metrics)]
