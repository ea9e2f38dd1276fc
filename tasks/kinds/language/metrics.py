"""Nats per character, bits and perplexity: ratios of sums over blocks or documents, with intervals and paired.

U units of resampling: documents where there are enough of them, else blocks of their tokens. K ratios.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from tasks.kinds.language.token_losses import SCORES_FILE
from tasks.statistics.intervals import Interval, scaled_interval
from tasks.statistics.paired_tests import bootstrap_p_value
from tasks.statistics.quarters import cut_in_quarters
from tasks.statistics.resampling import Bootstrap, ResamplingPlan
from tasks.store.artefacts import Artefact

LEAST_DOCUMENTS = 30
NUM_PARTS = 4
PARTS = ("first quarter", "second quarter", "third quarter", "last quarter")
PLACE = ["row", "block"]
# What spelling the unknown tokens costs counts for characters, and not for tokens.
NATS = {
    "nats_per_char": pl.col("nats") + pl.col("spelling_nats"),
    "cold_nats_per_char": pl.col("cold_nats") + pl.col("spelling_nats"),
}


@dataclass(frozen=True, kw_only=True)
class Units:
    """A split's sums by document or by block, in the order of the text: columns as in SCORES."""

    by: Literal["documents", "blocks"]
    sums: pl.DataFrame

    @classmethod
    def of(cls, blocks: pl.DataFrame) -> "Units":
        """Choose what can be resampled of a split's blocks."""
        if blocks["row"].n_unique() < LEAST_DOCUMENTS:
            return cls(by="blocks", sums=blocks)
        sums = blocks.group_by("row", maintain_order=True).agg(pl.col(pl.Float64, pl.UInt32).exclude("block").sum())
        return cls(by="documents", sums=sums)

    @property
    def plan(self) -> ResamplingPlan:
        """Units are drawn one by one."""
        return plan_of(self.sums.height)


def read_blocks(model: Artefact, split: str) -> pl.DataFrame:
    """Read what a model's blocks of a split cost, in the order of the text."""
    blocks = pl.scan_parquet(model.file(SCORES_FILE)).filter(split=split).drop("split").collect()
    assert np.isfinite(blocks.select("nats", "cold_nats").to_numpy()).all(), "a model may not exclude what comes"
    return blocks


def measure_units(units: Units, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Every metric of a split with its interval."""
    sums = units.sums
    totals_UK = sums.select(*(nats.alias(name) for name, nats in NATS.items()), "nats").to_numpy()
    counts_UK = sums.select(
        chars="num_chars", again="num_chars", tokens=pl.col("num_tokens").cast(pl.Float64)
    ).to_numpy()
    stateful, cold, per_token = bootstrap.bound_ratios(totals_UK, counts_UK, units.plan)
    assert stateful is not None, "every split has characters"
    assert cold is not None, "every split has characters"
    assert per_token is not None, "every split has tokens"
    return {
        "nats_per_char": stateful,
        "cold_nats_per_char": cold,
        "bits_per_char": scaled_interval(stateful, 1 / math.log(2)),
        "perplexity": {
            "value": math.exp(per_token["value"]),
            "low": math.exp(per_token["low"]),
            "high": math.exp(per_token["high"]),
        },
    }


def measure_slices(units: Units, bootstrap: Bootstrap) -> list[dict]:
    """Nats per character of parts of a split, with intervals."""
    slices = []
    for by, name, inside in slice_units(units):
        part = units.sums.filter(pl.Series(inside))
        nats_U1, chars_U1 = (part.select(one).to_numpy() for one in (NATS["nats_per_char"], "num_chars"))
        (interval,) = bootstrap.bound_ratios(nats_U1, chars_U1, plan_of(part.height))
        slices.append({"by": by, "slice": name, "units": part.height, "nats_per_char": interval})
    return slices


def slice_units(units: Units) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what units are sliced by, the slice's name and a mask: length of documents, or part of the text."""
    if units.by == "documents":
        for low, high, inside in cut_in_quarters(units.sums["num_chars"].to_numpy()):
            yield "length", f"{low:,.0f} to {high:,.0f} characters", inside
    else:
        yield from slice_by_part(units.sums.height)


def slice_by_part(num_units: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """Cut what follows each other into quarters, as `slice_units` does."""
    if num_units >= NUM_PARTS:
        part = np.arange(num_units) * NUM_PARTS // num_units
        yield from (("part of the text", name, part == index) for index, name in enumerate(PARTS))


@dataclass(frozen=True, kw_only=True)
class Advantage:
    """By how many nats per character a model is better than another, and the chance that this is luck."""

    gain: Interval
    p_value: float


def measure_advantage(best: Artefact, other: Artefact, metric: str, bootstrap: Bootstrap) -> Advantage:
    """Compare two models of the same tokens on test, unit by unit; the gain is positive where `best` is better."""
    blocks = [read_blocks(model, "test") for model in (best, other)]
    assert blocks[0].select(PLACE).equals(blocks[1].select(PLACE)), "models of different blocks cannot be paired"
    mine, theirs = (Units.of(one).sums for one in blocks)
    gains = (theirs.select(NATS[metric]) - mine.select(NATS[metric])).to_numpy()
    (gain,) = bootstrap.bound_ratios(gains, mine.select("num_chars").to_numpy(), plan_of(len(gains)))
    assert gain is not None, "every split has characters"
    p_value = bootstrap_p_value(gains[:, 0], resamples=bootstrap.resamples, seed=bootstrap.seed)
    return Advantage(gain=gain, p_value=p_value)


def plan_of(num_units: int) -> ResamplingPlan:
    """A plan of units that are independent of each other, as series are."""
    return ResamplingPlan(by="series", unit_of_window=np.arange(num_units), num_units=num_units, overlap=0)
