"""Lines to ids: 0 pads, the digit 0 is 1 and the digit 1 is 2; nothing is learned."""

import json
from pathlib import Path

import polars as pl

from rnnmodels.config import Settings
from tasks.labelled.summaries import LABELS_FILE, SPLITS, EncodedSummary, LabelledSplitSummary
from tasks.store.artefacts import Artefact

VOCABULARY_SIZE = 3


class BitSettings(Settings):
    """How lines become ids: there is nothing to set."""


def ids_of(text: pl.Expr) -> pl.Expr:
    """The ids of each line."""
    return text.str.extract_all(".").list.eval(pl.element().cast(pl.UInt8) + 1)


def write_encoded(folder: Path, *, splits: Artefact, settings: BitSettings) -> EncodedSummary:
    """Fill the artefact's folder: ids of each split (row, target, length, tokens), and `labels.json`."""
    divided, text = LabelledSplitSummary.of(splits), pl.col("text")
    columns = {"target": divided.target, "length": text.str.len_chars(), "tokens": ids_of(text)}
    steps = {}
    for split in SPLITS:
        lines = pl.read_parquet(splits.file(f"{split}.parquet")).select("row", **columns)
        lines.write_parquet(folder / f"{split}.parquet")
        steps[split] = int(lines["length"].sum())
    (folder / LABELS_FILE).write_text(json.dumps(divided.labels, ensure_ascii=False), encoding="utf-8")
    rows = sum(divided.splits[split] for split in SPLITS)
    return EncodedSummary(rows=rows, labels=divided.labels, vocabulary_size=VOCABULARY_SIZE, steps=steps)
