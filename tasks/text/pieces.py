"""Long texts in pieces, so that cutting them into tokens takes no more memory than short ones, and back together."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

PIECE_CHARS = 2**16
# Texts that are cut into tokens at once.
GROUP_BYTES = 2**22
READ_ROWS = 1_000


def write_pieces(texts: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """Write `row`, `text` and `num_chars` of the pieces of texts; the pieces of a row are its text, end to end."""
    writer: pq.ParquetWriter | None = None
    for batch in texts.select("row", "text").collect_batches(chunk_size=READ_ROWS, maintain_order=True):
        for group in _groups(batch):
            table = group.to_arrow()
            writer = writer or pq.ParquetWriter(path, table.schema, compression="lz4")
            writer.write_table(table)
    if writer is None:
        texts.select("row", "text", num_chars=pl.lit(0, pl.UInt32)).sink_parquet(path)
    else:
        writer.close()
    return pl.scan_parquet(path)


def join_pieces(path: Path, joined: Path) -> None:
    """Write the rows of encoded pieces: `row`, `tokens` one after the other, and sums of the other columns."""
    source = pq.ParquetFile(path)
    with pq.ParquetWriter(joined, source.schema_arrow, compression="lz4") as writer:
        for rows in _joined(source):
            writer.write_table(rows.to_arrow().cast(source.schema_arrow))


def cut_at_white_space(text: str, limit: int) -> list[str]:
    """Cut a text after line ends, or else after spaces, where no word is cut; anywhere where there is none."""
    pieces, start = [], 0
    while len(text) - start > limit:
        ends = (text.rfind(mark, start, start + limit) + 1 for mark in ("\n", " "))
        end = next((end for end in ends if end > start), start + limit)
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]


def _groups(batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Pieces of a batch of texts, as many at a time as fit into the memory that is meant for them."""
    is_long = batch["text"].str.len_bytes() > PIECE_CHARS
    if is_long.any():
        pieces = [cut_at_white_space(text, PIECE_CHARS) for text in batch["text"]]
        batch = batch.with_columns(text=pl.Series(pieces, dtype=pl.List(pl.String))).explode("text")
    group = pl.col("text").str.len_bytes().cum_sum() // GROUP_BYTES
    sized = batch.with_columns(num_chars=pl.col("text").str.len_chars(), group=group)
    yield from (part.drop("group") for part in sized.partition_by("group", maintain_order=True))


def _joined(source: pq.ParquetFile) -> Iterator[pl.DataFrame]:
    """Rows whose last piece has been read; that of the last row read so far may be yet to come."""
    sums = [name for name in source.schema_arrow.names if name not in ("row", "tokens")]
    held: list[pl.DataFrame] = []
    for batch in source.iter_batches(batch_size=READ_ROWS):
        frame = pl.DataFrame(pl.from_arrow(pa.table(batch)))
        last = frame["row"][-1]
        if held and held[0]["row"][0] == last:
            held.append(frame)
            continue
        whole = pl.concat([*held, frame])
        yield _join(whole.filter(pl.col("row") != last), sums)
        held = [whole.filter(pl.col("row") == last)]
    if held:
        yield _join(pl.concat(held), sums)


def _join(pieces: pl.DataFrame, sums: list[str]) -> pl.DataFrame:
    rows = pieces.group_by("row", maintain_order=True).agg(
        pl.col("tokens").list.explode(keep_nulls=False, empty_as_null=False), pl.col(sums).sum()
    )
    return rows.filter(pl.col("tokens").list.len() > 0).select(pieces.columns)
