"""How a kind's scores are put before people, in the terminal, in the dashboards and in the report alike."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """A metric in a table: `scale` turns it into the unit of its title, rounded to `digits`."""

    metric: str
    title: str
    scale: float = 1
    digits: int = 3

    def show(self, interval: dict[str, float]) -> str:
        """An estimate with its interval, as in `90.7 [89.6, 91.8]`."""
        value, low, high = (f"{self.scale * interval[bound]:.{self.digits}f}" for bound in ("value", "low", "high"))
        return f"{value} [{low}, {high}]"

    def show_value(self, interval: dict[str, float]) -> str:
        """The estimate alone."""
        return f"{self.scale * interval['value']:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """What a kind shows of its scores, and how one tries its registered model.

    headline: the columns of short tables, the first of which people look at first; columns: those of the report.
    trial: what one may do with the model, and how: in the shell command `{predict}` stands for its start, and
    `{example}` for an input.
    """

    headline: tuple[ScoreColumn, ...]
    columns: tuple[ScoreColumn, ...]
    template: str
    trial: tuple[str, str]
