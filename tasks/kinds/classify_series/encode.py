"""Sequences to scaled numbers without gaps: what stage `encode` does for them; all that is fitted is from training."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import quoted
from tasks.kinds.classify_series.frames import read_in_chunks, scatter_steps
from tasks.kinds.classify_series.numbers import SCALER_FILE, VALUES_COLUMN, encode_sequences
from tasks.kinds.classify_series.summaries import SequenceSplitSummary
from tasks.labelled.summaries import LABELS_FILE, SPLITS, EncodedSummary
from tasks.panel.frames import bare_name
from tasks.panel.rounding import describe_rounded, find_rounded
from tasks.panel.scaler import Scaler, fit_scale
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

# A share of sequences beyond which it matters that they rest where a channel's scale does not see them move.
MANY = 0.01
SCHEMA = pa.schema(
    {
        "row": pa.uint32(),
        "target": pa.uint16(),
        "length": pa.uint32(),
        VALUES_COLUMN: pa.large_list(pa.float32()),
    }
)


@dataclass
class Written:
    """Sequences of a split and their steps, and which of them were lost in rounding."""

    sequences: int = 0
    steps: int = 0
    rounded: list[pl.DataFrame] = field(default_factory=list)


class SequenceScaleSettings(Settings):
    """How numbers are scaled, and how missing ones are treated."""

    method: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard", description="Scale by mean and deviation, by median and quartiles, by range, or not at all."
    )
    missing: Literal["error", "forward", "mean"] = Field(
        "error",
        description="How to treat missing numbers: `forward` repeats the last one, `mean` uses the training mean.",
    )


def write_encoded(folder: Path, *, splits: Artefact, settings: SequenceScaleSettings) -> EncodedSummary:
    """Write each split's scaled sequences, `scaler.json` and `labels.json`; returns counts and warnings.

    A file has the columns row, target, length and `values`: the numbers of a step after those of the step before.
    Raises InputError: E-SER-008 for a channel without training numbers, E-SER-009 for missing numbers without a policy,
    E-SER-010 for numbers that leave the range of floats.
    """
    files = {name: splits.file(f"{name}.parquet") for name in SPLITS}
    divided = SequenceSplitSummary.of(splits)
    labels, channels = divided.labels, divided.channels
    scaler = fit_scaler(files["train"], channels, settings)
    written = {
        name: _write_scaled(folder / f"{name}.parquet", path, scaler, divided.target) for name, path in files.items()
    }
    (folder / SCALER_FILE).write_text(json.dumps(scaler.to_dict(), indent=1), encoding="utf-8")
    (folder / LABELS_FILE).write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    constant = [bare_name(name) for name, scale in scaler.columns.items() if scale.is_constant]
    shown = ", ".join(map(quoted, constant))
    return EncodedSummary(
        rows=sum(divided.splits[name] for name in SPLITS),
        labels=labels,
        channels=channels,
        steps={name: one.steps for name, one in written.items()},
        warnings=[f"constant in the training sequences, so not scaled: {shown}"] if constant else [],
        problems=[problem for split, one in written.items() for problem in find_problems(split, one, scaler)],
    )


def fit_scaler(train: Path, channels: list[str], settings: SequenceScaleSettings) -> Scaler:
    """Measure each channel of the training sequences, one channel in memory at a time."""
    columns = {}
    for name in (f"value.{channel}" for channel in channels):
        numbers = pl.read_parquet(train, columns=[name])[name].explode().fill_null(float("nan")).to_numpy()
        columns[name] = fit_scale(name, numbers, settings.method)
    return Scaler(settings.method, settings.missing, (), None, columns)


def find_problems(split: str, written: Written, scaler: Scaler) -> Iterator[str]:
    """Yield the channels in which many sequences were lost in rounding, and what to set."""
    remedy = (
        'set encode.method to "standard"'
        if scaler.method == "none"
        else "provide it without the level of each sequence, or leave it out of source.value_columns"
    )
    for (column,), found in pl.concat(written.rounded).group_by("column", maintain_order=True):
        if found.height > MANY * written.sequences:
            name = bare_name(column)
            yield describe_rounded(found["series"], column=name, splits=[split], remedy=remedy)


def _write_scaled(target: Path, source: Path, scaler: Scaler, number: pl.Expr) -> Written:
    """Write one split's scaled sequences."""
    written = Written()
    with pq.ParquetWriter(target, SCHEMA, compression="lz4") as writer:
        for sequences in read_in_chunks(source):
            encoded = sequences.select("row", number.alias("target"), "length", encode_sequences(sequences, scaler))
            writer.write_table(encoded.to_arrow().cast(SCHEMA))
            written.sequences += sequences.height
            written.steps += int(sequences["length"].sum())
            written.rounded.append(find_rounded(scatter_steps(sequences), scaler, ["series"]))
            emit(Progress(stage="encode", label=target.stem, done=written.steps))
    return written
