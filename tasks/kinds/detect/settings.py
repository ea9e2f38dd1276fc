"""The settings of an anomaly detector."""

from typing import Literal

from pydantic import Field

from rnnmodels.config import Settings
from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining, View


class DetectorArchitecture(ForecastArchitecture):
    """The forecaster of a detector: one for all series, none of which it knows by name."""

    hidden_size: int = Field(64, ge=1, le=8192, description="Width of the hidden state.")
    segment_length: int = Field(12, ge=1, le=100_000, description="Steps per segment; `segment` only.")
    channel_embedding: bool = Field(
        False,
        description="Tell the network which channel it reads; `segment` only. Without it all series are treated alike.",
    )
    normalization: Literal["last", "last-scaled", "mean", "instance", "none"] = Field(
        "none",
        description="What is subtracted from a window for the recurrent part; levels are centred already, and with "
        "`last` an anomaly would shift the forecasts after it.",
    )
    line_views: tuple[View, ...] = Field(
        (), description="Ridge regressions, averaged into the line that the recurrent part adds to."
    )


class DetectorTraining(ForecastTraining):
    """How the forecaster of a detector is fitted to the warm-up."""

    epochs: int = Field(4, ge=1, le=1000, description="Maximum number of epochs.")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="Decay of averaged weights (bias-corrected); 0 for none.")
    patience: int = Field(3, ge=1, le=1000, description="Epochs without a lower validation loss before stopping.")


class LikelihoodSettings(Settings):
    """The score of a row compared with those before it; the defaults are those of Numenta's published detectors."""

    long_run_rows: int = Field(8640, ge=100, le=1_000_000, description="Previous rows that a row is compared with.")
    short_run_rows: int = Field(10, ge=1, le=10_000, description="Last rows whose mean level is judged, too.")
    decade_beyond_record: float = Field(
        0.05, gt=0, le=10, description="Excess over the largest error so far that makes it ten times less probable."
    )


class EventSettings(Settings):
    """From which score on rows are anomalous, and which of them are one event; no labels are needed."""

    tail_probability: float = Field(
        1e-5, gt=0, lt=0.5, description="Probability of a false alarm per row, if the evidence were independent."
    )
    gap_share: float = Field(
        0.1, ge=0, le=1, description="Greatest distance of rows within an event, as a share of the warm-up."
    )


class DetectorSettings(Settings):
    """How a detector turns residuals into events."""

    likelihood: LikelihoodSettings = Field(LikelihoodSettings(), description="How rows get anomaly scores.")
    events: EventSettings = Field(EventSettings(), description="Which rows are anomalous, and which belong together.")
