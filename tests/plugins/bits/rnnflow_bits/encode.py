"""Lines to ids: 0 pads, the digit 0 is 1 and the digit 1 is 2; nothing is learned."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from rnnmodels.config import Settings
from tasks.labelled.summaries import EncodedSummary, LabelledSplitSummary

if TYPE_CHECKING:
    from tasks.store.artefacts import Artefact

SPLITS = ("train", "valid", "test")
VOCABULARY_SIZE = 3


class BitSettings(Settings):
    """How lines become ids: there is nothing to set."""


def ids_of(text: pl.Expr) -> pl.Expr:
    """The ids of each line."""
    return text.str.extract_all(".").list.eval(pl.element().cast(pl.UInt8) + 1)


def write_encoded(folder: Path, *, splits: "Artefact", settings: BitSettings) -> EncodedSummary:
    """Fill the artefact's folder: ids of each split (row, target, length, tokens), and `labels.json`."""
    labels, text = LabelledSplitSummary.of(splits).labels, pl.col("text")
    target = pl.col("label").cast(pl.Enum(labels)).to_physical().cast(pl.UInt16)
    columns = {"target": target, "length": text.str.len_chars(), "tokens": ids_of(text)}
    encoded = {split: pl.read_parquet(splits.file(f"{split}.parquet")).select("row", **columns) for split in SPLITS}
    for split, lines in encoded.items():
        lines.write_parquet(folder / f"{split}.parquet")
    (folder / "labels.json").write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    steps = {split: int(lines["length"].sum()) for split, lines in encoded.items()}
    return EncodedSummary(rows=sum(map(len, encoded.values())), labels=labels, steps=steps)
