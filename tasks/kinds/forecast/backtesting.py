"""Rolling origins: the test period cut into consecutive pieces, each forecast by models that end before it."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, stdev

import polars as pl

from tasks.contract.contest import Scored
from tasks.errors import InputError, plural
from tasks.kinds.forecast.split import TimeSplitSettings, read_cut
from tasks.kinds.forecast.summaries import CutSummary, SeriesRowsSummary
from tasks.panel.time_grid import TimeGrid
from tasks.store.artefacts import Artefact

MARK = ".cutoff-"


def plan_cutoffs(rows: Artefact, splits: Artefact, num_cutoffs: int) -> list[TimeSplitSettings]:
    """Cut the test period of a split into equal pieces, the earliest first; training and validation move along.

    Training rows grow from cut-off to cut-off (an expanding window), the validation period keeps its length.
    Raises InputError (E-SER-013) where a piece would have no step.
    """
    found = SeriesRowsSummary.of(rows)
    grid = found.grid
    train_until, valid_until, test_until = _positions(found, CutSummary.of(splits))
    edges = [valid_until + (test_until - valid_until) * index // num_cutoffs for index in range(num_cutoffs + 1)]
    if len(set(edges)) < len(edges):
        raise InputError(
            "E-SER-013",
            f"the test period has {plural(test_until - valid_until, 'step')}, expected at least one for each of "
            f"{num_cutoffs} cut-offs.",
            fix="lower the number of cut-offs, or raise split.test.",
        )
    return [
        TimeSplitSettings(**_as_times(grid, train_until + start - valid_until, start, until))
        for start, until in pairwise(edges)
    ]


def _positions(rows: SeriesRowsSummary, splits: CutSummary) -> list[int]:
    """Steps at which training, validation and test rows end."""
    grid = rows.grid
    last = pl.Series([read_cut(rows.last_time, "test_until", grid)], dtype=pl.Int64).cast(grid.dtype)
    end = int(grid.positions(last)[0]) + 1
    given = [None if cut is None else read_cut(cut, name, grid) for name, cut in splits.cuts.items()]
    times = pl.Series(given, dtype=pl.Int64).cast(grid.dtype)
    return [end if position is None else int(position) for position in grid.positions(times)]


def _as_times(grid: TimeGrid, *positions: int) -> dict[str, str]:
    times = grid.times(pl.Series(positions, dtype=pl.Int64)).cast(pl.Int64)
    names = ("train_until", "valid_until", "test_until")
    return {name: grid.show(time) for name, time in zip(names, times, strict=True)}


def name_at_cutoff(name: str, number: int) -> str:
    """Name a candidate at one cut-off, so that each of its fits is tracked on its own."""
    return f"{name}{MARK}{number}"


def tabulate_cutoff(settings: TimeSplitSettings, everyone: Sequence[Scored]) -> list[dict]:
    """One record per model: the cut-off, what it scored on the piece that follows, with intervals."""
    return [
        {
            "cutoff": settings.valid_until,
            "until": settings.test_until,
            "model": scored.name.partition(MARK)[0],
            "windows": scored.evaluation.rows,
            **scored.test,
        }
        for scored in everyone
    ]


def summarize_cutoffs(records: Sequence[dict], metric: str) -> list[dict]:
    """Mean and spread of a metric over the cut-offs, by model, the best first."""
    names = dict.fromkeys(record["model"] for record in records)
    values = {name: [one[metric]["value"] for one in records if one["model"] == name] for name in names}
    table = [
        {"model": name, "mean": mean(found), "spread": stdev(found) if len(found) > 1 else 0.0, "values": found}
        for name, found in values.items()
    ]
    return sorted(table, key=lambda row: row["mean"])
