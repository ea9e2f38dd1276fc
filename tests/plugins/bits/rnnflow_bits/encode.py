"""Lines to ids: 0 pads, the digit 0 is 1 and the digit 1 is 2; nothing is learned."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import Field

from rnnmodels.config import Settings

if TYPE_CHECKING:
    from tasks.store.artefacts import Artefact

SPLITS = ("train", "valid", "test")
VOCABULARY_SIZE = 3


class BitSettings(Settings):
    """How lines become ids."""

    backwards: bool = Field(False, description="Read lines from their end.")


def ids_of(text: pl.Expr, *, backwards: bool) -> pl.Expr:
    """The ids of each line."""
    ids = text.str.extract_all(".").list.eval(pl.element().cast(pl.UInt8) + 1)
    return ids.list.reverse() if backwards else ids


def write_encoded(folder: Path, *, splits: "Artefact", settings: BitSettings) -> dict:
    """Fill the artefact's folder: ids of each split (row, target, length, tokens), and `labels.json`."""
    labels = splits.summary["labels"]
    target = pl.col("label").cast(pl.Enum(labels)).to_physical().cast(pl.UInt16)
    steps = {}
    for split in SPLITS:
        lines = pl.read_parquet(splits.file(f"{split}.parquet"))
        tokens = ids_of(pl.col("text"), backwards=settings.backwards)
        encoded = lines.select("row", target=target, length=pl.col("text").str.len_chars(), tokens=tokens)
        encoded.write_parquet(folder / f"{split}.parquet")
        steps[split] = int(encoded["length"].sum())
    (folder / "labels.json").write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    rows = sum(splits.summary["splits"][split] for split in SPLITS)
    return {"rows": rows, "labels": labels, "steps": steps, "backwards": settings.backwards}
