"""Texts taken through the data stages as a run takes them."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tasks.contract.lineage import Lineage
from tasks.encode import encode
from tasks.ingest import ingest
from tasks.kinds.language.encode import LanguageEncodeSettings
from tasks.kinds.language.recipe import LANGUAGE
from tasks.kinds.language.shard import StreamSettings
from tasks.kinds.language.source import LanguageSource
from tasks.kinds.language.split import LanguageSplitSettings
from tasks.shard import shard
from tasks.split import split
from tasks.store.artefacts import Artefact
from tasks.text.vocabulary import Vocabulary

SPLITS = ("train", "valid", "test")


def ingested(path: Path, **source: object) -> Artefact:
    return ingest.fn(LANGUAGE, LanguageSource.model_validate({"path": str(path), **source}))


def divided(rows: Artefact, *, held: Artefact | None = None, **settings: object) -> Artefact:
    return split.fn(LANGUAGE, rows, LanguageSplitSettings.model_validate(settings), held)


def encoded(splits: Artefact, **settings: object) -> Artefact:
    return encode.fn(LANGUAGE, splits, LanguageEncodeSettings.model_validate(settings))


def prepared(
    path: Path,
    *,
    source: dict[str, object] | None = None,
    split: dict[str, object] | None = None,
    encode: dict[str, object] | None = None,
    shard_settings: dict[str, object] | None = None,
) -> Lineage:
    rows = ingested(path, **(source or {}))
    splits = divided(rows, **(split or {}))
    ids = encoded(splits, **(encode or {}))
    shards = shard.fn(LANGUAGE, ids, StreamSettings.model_validate(shard_settings or {}))
    return Lineage(rows=rows, splits=splits, encoded=ids, shards=shards)


def texts_of(splits: Artefact) -> dict[str, list[str]]:
    return {name: pl.read_parquet(splits.file(f"{name}.parquet")).sort("row")["text"].to_list() for name in SPLITS}


def stream_of(shards: Artefact, name: str) -> np.ndarray:
    return _one_batch(shards.file(f"{name}.arrow"))["tokens"].to_numpy()


def documents_of(shards: Artefact, name: str) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(_one_batch(shards.file(f"{name}-documents.arrow"))))


def vocabulary_of(encoded: Artefact) -> Vocabulary:
    return Vocabulary.load(encoded.file("vocabulary.json"))


def _one_batch(path: Path) -> pa.RecordBatch:
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    assert file.num_record_batches == 1
    return file.get_batch(0)
