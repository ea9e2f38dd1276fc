"""Settings of a forecaster and of its training; imports no torch, so that commands start fast."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rnnmodels.config import Optimization, RecurrentArchitecture, RecurrentCell, batch_field

LOSSES = {
    "point": ("l1", "l2", "huber"),
    "quantiles": ("quantile",),
    "gaussian": ("likelihood", "quantile"),
    "student-t": ("likelihood",),
}

RIDGE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # per row, of scaled values

Penalty = Annotated[float, Field(gt=0, le=1e12)]
Level = Annotated[float, Field(gt=0, lt=1)]
View = Literal["steps", "profiles"]


class ForecastArchitecture(RecurrentArchitecture):
    """A recurrent network on top of a line in closed form: a forecast is the line plus what the network adds."""

    cell: RecurrentCell = Field("gru", description="Recurrent cell.")
    hidden_size: int = Field(128, ge=1, le=8192, description="Width of the hidden state.")
    bidirectional: Literal[False] = Field(False, description="A history is read forwards, towards what follows it.")
    locked_dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout with one mask for all time steps, at the input of each layer."
    )
    head_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the linear head.")
    decoder: Literal["segment", "direct", "pointwise"] = Field(
        "segment",
        description="`segment` reads and forecasts whole segments at once, `direct` forecasts all steps from the last "
        "state, `pointwise` step by step from its own forecasts.",
    )
    segment_length: int = Field(24, ge=1, le=100_000, description="Steps per segment; `segment` only.")
    teacher_forcing: float = Field(
        0.5, ge=0, le=1, description="Share of training batches decoded from actual values; `pointwise` only."
    )
    channels: Literal["independent", "joint"] = Field(
        "independent", description="Channels are separate sequences with shared weights, or one joint sequence."
    )
    channel_embedding: bool = Field(
        True,
        description="Tell the network which channel it reads; `segment` only. Without it all series are treated alike.",
    )
    normalization: Literal["last", "last-scaled", "mean", "instance", "none"] = Field(
        "last",
        description="What is subtracted from a window for the recurrent part; `last-scaled` and `instance` (of the "
        "mean) also divide by its deviation.",
    )
    members: int = Field(
        1, ge=1, le=16, description="Number of networks that are trained separately and whose forecasts are averaged."
    )
    line_views: tuple[View, ...] = Field(
        ("steps",),
        description="Ridge regressions, averaged into the line: on single `steps`, or on `profiles`, the mean seasons "
        "of the near and the distant past. Without any, the recurrent part forecasts alone.",
    )
    line_look_back: int = Field(
        0, ge=0, le=1_000_000, description="Last steps that the view `steps` uses; 0 uses the whole look-back."
    )
    profile_length: int = Field(24, ge=1, le=100_000, description="Steps of a season in the view `profiles`.")
    ridge_penalties: tuple[Penalty, ...] = Field(
        RIDGE_PENALTIES,
        min_length=1,
        description="Ridge penalties to try, per training row; validation chooses one for each view.",
    )
    ridge_blocks: int = Field(
        0,
        ge=0,
        le=100,
        description="Blocks of training windows that choose penalties together with validation, each left out in "
        "turn and weighted equally; 0 leaves the choice to validation.",
    )
    channel_steps: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Number of last steps from which a ridge regression per channel forecasts the residual of the "
        "line; 0 uses one line for all channels.",
    )
    channel_penalty: Penalty = Field(1.0, description="Penalty, per window, of the regression per channel.")
    line_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the line that the recurrent part adds to in training: with 1 it learns the residual, "
        "with 0 the whole target. Validation then chooses its weight.",
    )
    lead_decay: float = Field(
        0.0,
        ge=0,
        le=1_000_000,
        description="Steps ahead at which the weight of the recurrent part has decayed to 1/e; 0 for none.",
    )
    output: Literal["point", "quantiles", "gaussian", "student-t"] = Field(
        "point", description="What is forecast for each step: a value or a distribution."
    )
    quantile_levels: tuple[Level, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), description="Levels of the quantiles of a distribution, rising."
    )

    @property
    def forecast_levels(self) -> tuple[float, ...]:
        """Levels of the quantiles that forecasts hold besides the point."""
        return () if self.output == "point" else self.quantile_levels

    @model_validator(mode="after")
    def _check_views(self) -> Self:
        if len(set(self.line_views)) < len(self.line_views):
            raise ValueError(f"line_views: got {list(self.line_views)}, expected each view once")
        return self

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if any(low >= high for low, high in itertools.pairwise(self.quantile_levels)):
            raise ValueError(f"quantile_levels: got {list(self.quantile_levels)}, expected rising levels")
        if not self.quantile_levels and self.output != "point":
            raise ValueError(f"quantile_levels: got none, expected at least one for the output {self.output!r}")
        return self


class ForecastTraining(Optimization):
    """How a forecaster is fitted."""

    BATCH = "batch_windows"
    LARGEST_BATCH = 64

    batch_windows: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = batch_field(
        "Windows", LARGEST_BATCH, "windows"
    )
    windows_per_epoch: int = Field(0, ge=0, description="Windows sampled for each epoch; 0 uses all.")
    loss: Literal["auto", "l1", "l2", "huber", "quantile", "likelihood"] = Field(
        "auto", description="`auto`: l1 for a point, quantile for quantiles, the likelihood for a distribution."
    )
    selection: Literal["loss", "mse", "mae"] = Field(
        "loss", description="Validation metric that selects the epoch and the weight of the recurrent part."
    )


def resolve_loss(architecture: ForecastArchitecture, training: ForecastTraining) -> str:
    """Name the loss to minimise; raises ValueError for one that the output cannot be trained with."""
    allowed = LOSSES[architecture.output]
    if training.loss == "auto":
        return allowed[0]
    if training.loss not in allowed:
        raise ValueError(
            f"loss: got {training.loss!r}, expected {' or '.join(map(repr, allowed))} for the output "
            f"{architecture.output!r}"
        )
    return training.loss
