"""Stage `split` for texts: rows to training, validation and test rows, through a leak firewall.

No two splits share a text, whether exactly (after folding case, white space and Unicode form) or nearly. An official
split is kept: its test rows all stay, and what repeats them elsewhere goes. Otherwise rows are drawn by label. Rows
held from an earlier split are treated as an official one, so that models of different days can be compared.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import Field

from tasks.labelled.held_rows import follow_source
from tasks.labelled.split import (
    DivisionSettings,
    describe_division,
    draw_splits,
    find_exact_duplicates,
    must_hold,
    put_first,
    read_identities,
    write_parts,
)
from tasks.labelled.summaries import LabelledSplitSummary
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
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


def find_straddling_rows(identities: pl.DataFrame) -> pl.DataFrame:
    """Rows of a cluster of near duplicates that an official split puts on another side than its first row."""
    ordered = identities.sort("part", "row")
    first = ordered.with_columns(
        of_row=pl.col("row").first().over("cluster"), first_part=pl.col("part").first().over("cluster")
    )
    straddling = first.filter((pl.col("part") != pl.col("first_part")) & pl.col("first_part").is_in(["test", "valid"]))
    return straddling.select("row", reason=pl.lit("near duplicate"), of_row="of_row")


def divide(
    rows: pl.LazyFrame, settings: SplitSettings, new_labels: Sequence[str] = ()
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Assign each row to a split or drop it: (row, part) of the kept rows and (row, reason, of_row) of the others."""
    identities = read_identities(rows, settings.seed, hash_folded_text)
    emit(Progress(stage="split", note=f"compared {identities.height} texts exactly"))
    dropped = [find_exact_duplicates(identities, settings.unit)]
    kept = identities.join(dropped[0], on="row", how="anti", maintain_order="left")
    kept = kept.with_columns(cluster=_clusters_of(rows, kept, settings))
    dropped.append(find_straddling_rows(kept))
    kept = kept.join(dropped[1], on="row", how="anti", maintain_order="left")
    return draw_splits(kept, settings, new_labels), pl.concat(dropped).sort("row")


def _clusters_of(rows: pl.LazyFrame, kept: pl.DataFrame, settings: SplitSettings) -> pl.Series:
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
    frame = pl.scan_parquet(rows.file("rows.parquet"))
    kept = None if held is None else follow_source(frame, held, rows.rows, hash_folded_text)
    frame = frame if kept is None else put_first(kept, frame, hash_folded_text)
    assigned, dropped = divide(frame, settings, () if kept is None else kept.changes.new_labels)
    divided = write_parts(folder, frame, assigned, dropped, kept)
    telltales = find_telltale_tokens(pl.scan_parquet(folder / "train.parquet"))
    warnings = [*Summary.of(rows).warnings, *describe_division(folder, dropped, rows.rows, kept), *telltales]
    return divided.model_copy(update={"warnings": warnings})
