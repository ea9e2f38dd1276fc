"""Stage `split` for texts: rows to training, validation and test rows, through a leak firewall.

No two splits share a text, whether exactly (after folding case, white space and Unicode form) or nearly. An official
split is kept: its test rows all stay, and what repeats them elsewhere goes. Otherwise rows are drawn by label. Rows
held from an earlier split are treated as an official one, so that models of different days can be compared.
"""

from functools import partial
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import Field

from tasks.labelled.division import DivisionSettings
from tasks.labelled.split import must_hold, write_division
from tasks.labelled.summaries import LabelledSplitSummary
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact
from tasks.text.near_duplicates import find_clusters
from tasks.text.telltales import find_telltale_tokens
from tasks.text.tokenizers import composed

__all__ = ["SplitSettings", "must_hold", "write_splits"]


class SplitSettings(DivisionSettings):
    """How rows are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "text"

    near_duplicates: bool = Field(True, description="Also keep nearly equal texts on one side.")
    similarity: float = Field(0.7, ge=0.5, le=1, description="Jaccard similarity of word shingles that counts as near.")


def hash_folded_text(seed: int) -> pl.Expr:
    """Hash of a text without the differences that do not count: case, white space and Unicode form."""
    return composed(pl.col("text").str.to_lowercase()).str.replace_all(r"\s+", " ").str.strip_chars().hash(seed)


def cluster_texts(settings: SplitSettings, rows: pl.LazyFrame, kept: pl.DataFrame) -> pl.Series:
    """Number the kept rows, of which nearly equal texts have one number."""
    if not settings.near_duplicates:
        return kept["row"]
    texts = rows.select("row", "text").join(kept.lazy().select("row"), on="row", how="semi")
    clusters = find_clusters(texts, threshold=settings.similarity)
    emit(Progress(stage="split", note=f"found {clusters.height} rows with a near duplicate"))
    joined = kept.select("row").join(clusters, on="row", how="left", maintain_order="left")
    return joined.select(pl.coalesce("cluster", "row")).to_series()


def write_splits(
    folder: Path, *, rows: Artefact, held: Artefact | None, settings: SplitSettings
) -> LabelledSplitSummary:
    """Fill the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing row."""
    told = {"content": hash_folded_text, "cluster": partial(cluster_texts, settings)}
    divided = write_division(folder, rows=rows, held=held, settings=settings, **told)
    telltales = find_telltale_tokens(pl.scan_parquet(folder / "train.parquet"))
    return divided.model_copy(update={"warnings": [*divided.warnings, *telltales]})
