"""Stage `shard` for language models: the documents of a split as one stream of token ids in an Arrow file.

A stream is `0 d1 0 d2 0 ... dn 0`, the boundary 0 before and after each document; a single document, which is usually
cut off and not at an end, has no boundary after it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from rnnmodels.config import Settings
from tasks.kinds.language.summaries import SPLITS, EncodedTextSummary, StreamSummary
from tasks.store.artefacts import Artefact
from tasks.text.vocabulary import smallest_unsigned

READ_ROWS = 1_000
DOCUMENTS = pa.schema(
    {
        "row": pa.uint32(),
        "start": pa.uint64(),
        "num_tokens": pa.uint32(),
        "num_chars": pa.uint32(),
        "spelling_nats": pa.float64(),
    }
)


class StreamSettings(Settings):
    """How documents are laid out for training."""

    join_documents: bool = Field(
        False,
        description="Read all documents of a split as one, in their order: the state is carried from one to the next.",
    )


def write_shards(folder: Path, *, encoded: Artefact, settings: StreamSettings) -> StreamSummary:
    """Fill the artefact's folder: a stream and a list of documents for each split, and `streams.json`."""
    told = EncodedTextSummary.of(encoded)
    lists = {name: _list_documents(encoded.file(f"{name}.parquet"), settings) for name in SPLITS}
    for name, documents in lists.items():
        _write_stream(folder / f"{name}.arrow", encoded.file(f"{name}.parquet"), documents, told.vocabulary_size)
        _write_arrow(folder / f"{name}-documents.arrow", documents.to_arrow().cast(DOCUMENTS))
    files = [f"{name}{end}.arrow" for name in SPLITS for end in ("", "-documents")]
    about = {"vocabulary_size": told.vocabulary_size, "tokenizer": told.tokenizer, "files": files}
    (folder / "streams.json").write_text(json.dumps(about), encoding="utf-8")
    return StreamSummary(
        rows=sum(documents.height for documents in lists.values()),
        num_targets={name: int(documents["num_tokens"].sum()) for name, documents in lists.items()},
        num_chars={name: int(documents["num_chars"].cast(pl.UInt64).sum()) for name, documents in lists.items()},
        vocabulary_size=told.vocabulary_size,
        tokenizer=told.tokenizer,
    )


def _list_documents(path: Path, settings: StreamSettings) -> pl.DataFrame:
    """Row, place in the stream, and sizes of each document, the boundary after it included where there is one."""
    sizes = pl.scan_parquet(path).select("row", "num_chars", "spelling_nats", num_tokens=pl.col("tokens").list.len())
    sizes = sizes.with_columns(pl.col("num_chars", "num_tokens").cast(pl.UInt64))
    documents = sizes.collect(engine="streaming")
    if settings.join_documents:
        documents = documents.select(pl.col("row").first(), pl.exclude("row").sum())
    closing = int(documents.height > 1)
    return (
        documents.with_columns(pl.col("num_tokens", "num_chars") + closing)
        .select(
            "row",
            "num_tokens",
            "num_chars",
            "spelling_nats",
            start=1 + pl.col("num_tokens").cast(pl.UInt64).cum_sum() - pl.col("num_tokens"),
        )
        .select(DOCUMENTS.names)
    )


def _write_stream(path: Path, encoded: Path, documents: pl.DataFrame, vocabulary_size: int) -> None:
    """Write one record batch with the column `tokens`, filled on disk, so that no stream has to fit into memory."""
    kind = pl.Series([0], dtype=smallest_unsigned(vocabulary_size)).to_numpy().dtype
    num_tokens = 1 + int(documents["num_tokens"].sum())
    flat = path.with_suffix(".flat")
    stream = np.memmap(flat, dtype=kind, mode="w+", shape=num_tokens)
    closing, end = int(documents.height > 1), 1
    for tokens in _token_lists(encoded):
        stream[end : end + len(tokens)] = tokens
        end += len(tokens) + closing
    array = pa.Array.from_buffers(pa.from_numpy_dtype(kind), num_tokens, [None, pa.py_buffer(stream)])
    _write_arrow(path, pa.table({"tokens": array}))
    del array, stream
    flat.unlink()


def _token_lists(path: Path) -> Iterator[np.ndarray]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=READ_ROWS, columns=["tokens"]):
        yield from (tokens.to_numpy() for tokens in pl.Series(pl.from_arrow(batch["tokens"])))


def _write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())
