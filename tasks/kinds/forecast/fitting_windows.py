"""Which windows fit rows: for errors that name settings which work, and for recipes written from a file."""

from collections.abc import Mapping, Sequence

from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.panel.frames import SPLITS, TEST, TRAIN, VALID


def fit_windows(longest: Mapping[str, int], *, look_back: int, horizon: int) -> tuple[int, int] | None:
    """Look-back and horizon, at most those given, of which each split holds a window; None where there is none.

    `longest` says how many rows without a gap each split has, those not counted that a first window looks back on.
    """
    horizon = min(horizon, max(1, longest["train"] // 3), longest["valid"], longest["test"])
    look_back = min(look_back, longest["train"] - horizon)
    return None if min(horizon, look_back) < 1 else (look_back, horizon)


def propose_windows(
    segments: Sequence[Sequence[int]], *, look_back: int, horizon: int, split: TimeSplitSettings
) -> tuple[int, int] | None:
    """As `fit_windows`, for series given by the numbers of rows between their gaps, in the order of time.

    Each series is cut by shares of its own rows, as the common cuts divide series that begin and end together.
    """
    longest = dict.fromkeys(SPLITS, 0)
    for runs in segments:
        for name, length in _longest_by_split(runs, split).items():
            longest[name] = max(longest[name], length)
    return fit_windows(longest, look_back=look_back, horizon=horizon)


def _longest_by_split(runs: Sequence[int], split: TimeSplitSettings) -> dict[str, int]:
    num_rows = sum(runs)
    num_test = max(1, round(num_rows * split.test))
    num_held = max(num_test + 1, round(num_rows * (split.valid + split.test)))
    cuts = (0, num_rows - num_held, num_rows - num_test, num_rows)
    longest, start = dict.fromkeys(SPLITS, 0), 0
    for length in runs:
        for number in (TRAIN, VALID, TEST):
            inside = min(cuts[number + 1], start + length) - max(cuts[number], start)
            longest[SPLITS[number]] = max(longest[SPLITS[number]], inside)
        start += length
    return longest
