"""What is monitored of series to judge: windows of their levels, the errors of forecasts, and alarms."""

import numpy as np
import polars as pl

from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile
from tasks.kinds.detect.encode import LEVELS_FILE
from tasks.kinds.detect.seen_windows import tabulate_windows
from tasks.kinds.detect.summaries import DetectorSummary, WarmUpSummary
from tasks.kinds.forecast.stored_windows import read_layout
from tasks.panel.frames import VALID
from tasks.panel.profile import WATCH, profile_windows, window_steps

__all__ = ["WATCH", "reference_profile"]


def reference_profile(best: Scored, lineage: Lineage) -> Profile:
    """Count the validation rows, the end of each series' warm-up, from what the evaluated model stored of them."""
    rows = pl.read_parquet(lineage.encoded.file(LEVELS_FILE)).with_row_index("place")
    forecasts_NC = np.load(best.model.file("forecasts.npy"), mmap_mode="r")
    surprise_N = np.load(best.model.file("surprise.npy"), mmap_mode="r")
    layout, channels = read_layout(lineage.shards), WarmUpSummary.of(lineage.splits).channels
    threshold = DetectorSummary.of(best.model).threshold
    size = window_steps(layout["look_back"], layout["horizon"])
    tables = [
        tabulate_windows(
            part,
            part.select(f"level.{name}" for name in channels).to_numpy(order="c"),
            forecasts_NC[part["place"]],
            surprise_N[part["place"]] >= threshold,
            channels=channels,
            size=size,
        )
        for part in rows.filter(split=VALID).partition_by("series", maintain_order=True)
    ]
    return profile_windows(pl.concat(tables), as_reference=True)
