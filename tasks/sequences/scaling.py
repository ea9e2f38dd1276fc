"""Sequences to scaled numbers without gaps: what stage `encode` does for them; all that is fitted is from training."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from tasks.errors import InputError, quoted
from tasks.part import Part
from tasks.progress import Progress, emit
from tasks.sequences.frames import SPLITS, read_in_chunks, scatter_steps
from tasks.series.scaler import Scaler, fit_scale
from tasks.store import Artefact

SCALER_FILE = "scaler.json"
LABELS_FILE = "labels.json"


class SequenceScaleSettings(Part):
    """How numbers are scaled, and what becomes of missing ones."""

    method: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard", description="Scale by mean and deviation, by median and quartiles, by range, or not at all."
    )
    missing: Literal["error", "forward", "mean"] = Field(
        "error",
        description="What becomes of missing numbers: `forward` repeats the last one, `mean` takes that of training.",
    )


def write_encoded(folder: Path, *, splits: Artefact, settings: SequenceScaleSettings) -> dict:
    """Write each split's scaled sequences, `scaler.json` and `labels.json`; returns counts and warnings.

    A file has the columns row, target, length and `values`: the numbers of a step after those of the one before.
    Raises InputError: E-SER-008 for a channel without training numbers, E-SER-009 for missing numbers without a policy,
    E-SER-010 for numbers that leave the range of floats.
    """
    files = {name: splits.file(f"{name}.parquet") for name in SPLITS}
    labels, channels = splits.summary["labels"], splits.summary["channels"]
    scaler = fit_scaler(files["train"], channels, settings)
    steps = {name: _write_scaled(folder / f"{name}.parquet", path, scaler, labels) for name, path in files.items()}
    (folder / SCALER_FILE).write_text(json.dumps(scaler.to_dict(), indent=1), encoding="utf-8")
    (folder / LABELS_FILE).write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    constant = [name.partition(".")[2] for name, scale in scaler.columns.items() if scale.is_constant]
    shown = ", ".join(map(quoted, constant))
    return {
        "rows": sum(splits.summary["splits"][name] for name in SPLITS),
        "labels": labels,
        "channels": channels,
        "steps": steps,
        "warnings": [f"constant in the training sequences, so not scaled: {shown}"] if constant else [],
    }


def fit_scaler(train: Path, channels: list[str], settings: SequenceScaleSettings) -> Scaler:
    """Measure each channel of the training sequences, one channel in memory at a time."""
    columns = {}
    for name in (f"value.{channel}" for channel in channels):
        numbers = pl.read_parquet(train, columns=[name])[name].explode().fill_null(float("nan")).to_numpy()
        columns[name] = fit_scale(name, numbers, settings.method)
    return Scaler(settings.method, settings.missing, (), None, columns)


def scale_sequences(sequences: pl.DataFrame, scaler: Scaler) -> np.ndarray:
    """Scaled numbers of all steps, one sequence after the other: float32 [steps, channels].

    Raises InputError (E-SER-009, E-SER-010).
    """
    steps = scaler.transform(scatter_steps(sequences))
    for name in scaler.columns:
        beyond = steps.filter(~pl.col(name).is_finite())
        if beyond.height:
            raise InputError(
                "E-SER-010",
                f"step {beyond['time'][0]} of sequence {quoted(beyond['series'][0])} leaves the range of 32-bit floats "
                "once scaled by what the training sequences hold.",
                fix="correct the number, or set encode.method to another.",
                column=name.partition(".")[2],
            )
    return np.ascontiguousarray(steps.select(scaler.columns).to_numpy(), dtype=np.float32)


def _write_scaled(target: Path, source: Path, scaler: Scaler, labels: list[str]) -> int:
    """Write one split's scaled sequences, and count their steps."""
    number_of = {label: index for index, label in enumerate(labels)}
    kinds = {"row": pa.uint32(), "target": pa.uint16(), "length": pa.uint32(), "values": pa.large_list(pa.float32())}
    schema, done = pa.schema(kinds), 0
    with pq.ParquetWriter(target, schema, compression="lz4") as writer:
        for sequences in read_in_chunks(source):
            values = scale_sequences(sequences, scaler)
            ends = np.cumsum(sequences["length"].to_numpy(), dtype=np.int64) * values.shape[1]
            lists = pa.LargeListArray.from_arrays(np.concatenate([[0], ends]), pa.array(values.reshape(-1)))
            scalars = sequences.select(
                "row", pl.col("label").replace_strict(number_of, return_dtype=pl.UInt16), "length"
            )
            columns = [column.to_arrow() for column in scalars.iter_columns()]
            writer.write_table(pa.table([*columns, lists], names=schema.names).cast(schema))
            done += len(values)
            emit(Progress(stage="encode", label=target.stem, done=done))
    return done
