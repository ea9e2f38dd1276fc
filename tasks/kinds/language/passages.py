"""Documents cut by position: how they begin is trained on, how they go on is validated and tested on."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.kinds.language.summaries import SPLITS

TEXTS = pa.schema({"row": pa.uint32(), "text": pa.large_string()})
# Documents that are read at once.
READ_ROWS = 100


def open_parts(kept: pl.DataFrame) -> list[str]:
    """Whose documents are still to be divided: without an official split, or for training where tests are official."""
    return ["undecided", "train"] if (kept["part"] == "test").any() else ["undecided"]


def without_near_duplicates(kept: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first document of each cluster, and those to drop; nearly equal ones would meet in different splits."""
    first = kept.sort("part", "row").with_columns(of_row=pl.col("row").first().over("cluster"))
    repeats = first.filter(pl.col("row") != pl.col("of_row"))
    dropped = repeats.select("row", reason=pl.lit("near duplicate"), of_row="of_row")
    return kept.join(dropped, on="row", how="anti", maintain_order="left"), dropped


def cut_by_position(folder: Path, documents: pl.LazyFrame, kept: pl.DataFrame, *, valid: float, test: float) -> None:
    """Write the splits: each open document cut by the shares that no official split has, the others whole."""
    given, is_open = set(kept["part"]), open_parts(kept)
    shares = (0.0 if "valid" in given else valid, 0.0 if "test" in given else test)
    writers = {name: pq.ParquetWriter(folder / f"{name}.parquet", TEXTS, compression="zstd") for name in SPLITS}
    try:
        for row, text, part in _in_order(documents, kept):
            parts = dict(zip(SPLITS, cut(text, *shares), strict=True)) if part in is_open else {part: text}
            for name, passage in parts.items():
                if passage:
                    writers[name].write_table(pa.table({"row": [row], "text": [passage]}, schema=TEXTS))
    finally:
        for writer in writers.values():
            writer.close()


def cut(text: str, valid: float, test: float) -> tuple[str, str, str]:
    """The beginning, the part before the end, and the end of a text, cut at exact characters."""
    first, second = int(len(text) * (1 - valid - test)), int(len(text) * (1 - test))
    return text[:first], text[first:second], text[second:]


def _in_order(documents: pl.LazyFrame, kept: pl.DataFrame) -> Iterator[tuple[int, str, str]]:
    parts = kept.lazy().select("row", part=pl.col("part").cast(pl.String))
    wanted = documents.select("row", "text").join(parts, on="row", how="inner", maintain_order="left")
    for batch in wanted.collect_batches(chunk_size=READ_ROWS, maintain_order=True):
        yield from batch.iter_rows()
