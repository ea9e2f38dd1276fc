"""Which warm-up and windows fit a series to monitor: for recipes written from a file."""

from typing import NamedTuple

from tasks.kinds.detect.likelihood import MIN_ROWS
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.split import WarmUpSettings, count_parts

MOST_WARM_UP = 0.5


class Fitting(NamedTuple):
    """The share of the warm-up, and windows that fit into it."""

    warm_up: float
    look_back: int
    horizon: int


def propose_warm_up(num_rows: int, *, split: WarmUpSettings, shard: DetectionWindowSettings) -> Fitting | None:
    """Settings, as near to those given as fit, for series of which the longest has `num_rows` rows; None for too few.

    A warm-up that would be too short to judge by is lengthened, up to half of the series.
    """
    least = 2 * MIN_ROWS / max(1, num_rows)
    warm_up = round(max(split.warm_up, min(MOST_WARM_UP, least)), 3)
    train, valid, judged = count_parts(num_rows, split.model_copy(update={"warm_up": warm_up}))
    horizon = min(shard.horizon, train, valid)
    if horizon < 1 or judged < 1 or train + valid < MIN_ROWS:
        return None
    return Fitting(warm_up, min(shard.look_back, train), horizon)
