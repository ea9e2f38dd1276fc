"""How a registered forecaster reads series: its `serving.json`.

This module travels with the registered model, so it knows neither Prefect nor MLflow.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.panel.source import SeriesSource
from tasks.panel.time_grid import TimeGrid
from tasks.registry.served_parts import write_serving
from tasks.sources.served_source import ServedSource

KIND = "forecast"
MODEL = "tasks.kinds.forecast.forecaster:SeriesForecaster"
PARTS = ("model.safetensors", "model.json", "scaler.json")


@dataclass(frozen=True, kw_only=True)
class Serving(ServedSource[SeriesSource]):
    """How a forecaster reads series: the source's columns, its grid, the channels, the covariates users must bring.

    `cuts` are the times at which the rows were divided that it learned from, as stage `split` reports them.
    """

    name: str
    grid: TimeGrid
    channels: tuple[str, ...]
    covariates: tuple[str, ...]
    levels: tuple[float, ...]
    cuts: dict[str, Any]

    @classmethod
    def trained_as(cls) -> type[SeriesSource]:
        """Series to forecast."""
        return SeriesSource

    def learned(self) -> dict[str, object]:
        """The step of the series."""
        return {"frequency": self.grid.frequency}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Serving":
        """Read what `dataclasses.asdict` made of it."""
        lists = {name: tuple(fields[name]) for name in ("channels", "covariates", "levels")}
        read: dict[str, Any] = {**fields, **lists, "grid": TimeGrid.from_dict(fields["grid"])}
        return cls(**read)


def complete_forecaster(folder: Path, serving: Serving) -> None:
    """Complete a folder that holds model and scaler with `serving.json`."""
    write_serving(folder, kind=KIND, serving=asdict(serving), parts=PARTS, model=MODEL)
