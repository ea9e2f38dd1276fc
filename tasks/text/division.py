"""Which texts count as equal, exactly or nearly, wherever texts are divided through a leak firewall."""

from functools import partial
from typing import ClassVar

import polars as pl
from pydantic import Field

from tasks.labelled.division import Clustering, DivisionSettings
from tasks.progress import Progress, emit
from tasks.text.near_duplicates import find_clusters
from tasks.text.tokenizers import composed


class TextDivisionSettings(DivisionSettings):
    """How texts are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "text"

    near_duplicates: bool = Field(True, description="Also keep nearly equal texts on one side.")
    similarity: float = Field(0.7, ge=0.5, le=1, description="Jaccard similarity of word shingles that counts as near.")


def fold_text() -> pl.Expr:
    """A text without the differences that do not count: case, white space and Unicode form."""
    return composed(pl.col("text").str.to_lowercase()).str.replace_all(r"\s+", " ").str.strip_chars()


def hash_folded_text(seed: int) -> pl.Expr:
    """Hash of a text without the differences that do not count."""
    return fold_text().hash(seed)


def cluster_texts(settings: TextDivisionSettings, rows: pl.LazyFrame, kept: pl.DataFrame) -> pl.Series:
    """Number the kept rows, of which nearly equal texts have one number."""
    if not settings.near_duplicates or kept.height == 1:  # a book is read once less
        return kept["row"]
    texts = rows.select("row", "text").join(kept.lazy().select("row"), on="row", how="semi")
    clusters = find_clusters(texts, threshold=settings.similarity)
    emit(Progress(stage="split", note=f"found {clusters.height} rows with a near duplicate"))
    joined = kept.select("row").join(clusters, on="row", how="left", maintain_order="left")
    return joined.select(pl.coalesce("cluster", "row")).to_series()


def clustering(settings: TextDivisionSettings) -> Clustering:
    """What numbers the rows to divide so that nearly equal texts have one number."""
    return partial(cluster_texts, settings)
