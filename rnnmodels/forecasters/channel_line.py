"""What each channel's own ridge regression adds to the line of all channels: the habits that it alone has.

It forecasts what the line leaves of the channel's future from the channel's last steps, less the last value.
Shapes: B windows, L look-back, N last steps, H horizon, C channels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmodels.forecasters.windows import WindowBatch, Windows

WINDOWS_PER_BATCH = 256


@dataclass(frozen=True)
class ChannelLines:
    """Weights (C, N, H) to be added to those of the line, and the mean squared error of their sum on validation."""

    weights: NDArray[np.float32]
    valid_mse: float


def fit_channel_lines(
    train: Windows, valid: Windows, line_LH: NDArray[np.float32], num_steps: int, penalty: float
) -> ChannelLines:
    """Fit a ridge regression per channel to what the line leaves; `penalty` is per window.

    Raises ValueError for more steps than the look-back.
    """
    if num_steps > len(line_LH):
        raise ValueError(f"channel_steps: got {num_steps}, expected at most the look-back {len(line_LH)}")
    num_channels, horizon = train.shape.num_channels, train.shape.horizon
    gram_CNN = np.zeros((num_channels, num_steps, num_steps))
    with_rest_CNH = np.zeros((num_channels, num_steps, horizon))
    for batch in train.batches(WINDOWS_PER_BATCH):
        recent_CBN, rest_CBH = _leave(batch, line_LH, num_steps)
        recent_CNB = recent_CBN.transpose(0, 2, 1)
        gram_CNN += recent_CNB @ recent_CBN
        with_rest_CNH += recent_CNB @ rest_CBH
    weights_CNH = np.linalg.solve(gram_CNN + train.num_rows * penalty * np.eye(num_steps), with_rest_CNH)
    return ChannelLines(weights_CNH.astype(np.float32), _measure_error(valid, line_LH, weights_CNH))


def _measure_error(windows: Windows, line_LH: NDArray[np.float32], weights_CNH: NDArray[np.float64]) -> float:
    square_sum = 0.0
    for batch in windows.batches(WINDOWS_PER_BATCH):
        recent_CBN, rest_CBH = _leave(batch, line_LH, weights_CNH.shape[1])
        square_sum += np.square(rest_CBH - recent_CBN @ weights_CNH).sum()
    return float(square_sum / (windows.num_rows * windows.shape.num_channels * windows.shape.horizon))


def _leave(
    batch: WindowBatch, line_LH: NDArray[np.float32], num_steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The last steps (C, B, N), and what the line leaves of the future (C, B, H)."""
    last_B1C = batch.history[:, -1:].astype(np.float64)
    history_CBL, future_CBH = ((values - last_B1C).transpose(2, 0, 1) for values in (batch.history, batch.future))
    return history_CBL[..., -num_steps:], future_CBH - history_CBL @ line_LH.astype(np.float64)
