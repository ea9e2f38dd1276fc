import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.tasks.kinds.language.preparing import (
    SPLITS,
    divided,
    documents_of,
    encoded,
    ingested,
    prepared,
    stream_of,
    texts_of,
    vocabulary_of,
)
from tests.tasks.kinds.language.test_split import sentences, write_book, write_table


def test_a_book_is_one_stream_that_begins_with_a_boundary_and_reads_as_the_text(project: Path, tmp_path: Path):
    text = write_book(tmp_path / "book.txt")
    lineage = prepared(tmp_path / "book.txt")

    streams = {name: stream_of(lineage.shards, name) for name in SPLITS}

    assert "".join(vocabulary_of(lineage.encoded).text_of(stream) for stream in streams.values()) == text
    for name, stream in streams.items():
        assert stream.dtype == np.uint8
        assert np.flatnonzero(stream == 0).tolist() == [0]
        row, start, num_tokens, num_chars, nats = documents_of(lineage.shards, name).row(0)
        assert (row, start, num_tokens, num_chars, nats) == (0, 1, len(stream) - 1, len(stream) - 1, 0)


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_a_boundary_stands_before_and_after_each_document(project: Path, tmp_path: Path, tokenizer: str):
    path = write_table(tmp_path / "rows.csv", sentences(60))
    lineage = prepared(path, encode={"tokenizer": tokenizer, "max_size": 300})

    for name in SPLITS:
        stream, documents = stream_of(lineage.shards, name), documents_of(lineage.shards, name)
        rows = pl.read_parquet(lineage.encoded.file(f"{name}.parquet"))
        assert len(stream) == 1 + documents["num_tokens"].sum()
        for (row, start, num_tokens, num_chars, nats), (of, tokens, chars, spelling) in zip(
            documents.rows(), rows.select("row", "tokens", "num_chars", "spelling_nats").rows(), strict=True
        ):
            assert stream[start - 1 : start + num_tokens].tolist() == [0, *tokens, 0]
            assert (row, num_chars, nats) == (of, chars + 1, spelling)
    assert lineage.shards.summary["num_targets"]["train"] == len(stream_of(lineage.shards, "train")) - 1


def test_joined_documents_are_one_without_boundaries(project: Path, tmp_path: Path):
    path = write_table(tmp_path / "rows.csv", sentences(60))
    lineage = prepared(path, shard_settings={"join_documents": True})

    for name, texts in texts_of(lineage.splits).items():
        stream = stream_of(lineage.shards, name)
        assert vocabulary_of(lineage.encoded).text_of(stream) == "".join(texts)
        assert documents_of(lineage.shards, name)["num_chars"].to_list() == [len("".join(texts))]


def test_large_vocabularies_take_wider_ids_and_files_are_named(project: Path, tmp_path: Path):
    path = write_table(tmp_path / "rows.csv", sentences(60))
    shards = prepared(path, encode={"tokenizer": "word"}).shards

    about = json.loads(shards.file("streams.json").read_bytes())
    assert stream_of(shards, "train").dtype == np.uint16
    assert about["vocabulary_size"] == shards.summary["vocabulary_size"] > 256
    assert about["tokenizer"] == "word"
    assert {*about["files"], "streams.json"} == set(shards.manifest["files"])


def test_no_text_of_a_held_document_is_in_the_training_stream(project: Path, tmp_path: Path):
    texts = sentences(80)
    near = [f"{text} again" for text in texts[:40]]
    lineage = prepared(write_table(tmp_path / "rows.csv", texts + near))

    trained = vocabulary_of(lineage.encoded).text_of(stream_of(lineage.shards, "train"))

    held = [text for name in ("valid", "test") for text in texts_of(lineage.splits)[name]]
    assert held
    assert not any(text.removesuffix(" again") in trained for text in held)


def test_a_setting_recomputes_its_stage_and_what_follows_and_a_second_run_nothing(project: Path, tmp_path: Path):
    path = write_table(tmp_path / "rows.csv", sentences(60))
    prepared(path)

    again = prepared(path)
    rows = ingested(path)
    other = [divided(rows, seed=2), encoded(again.splits, lowercase=True), encoded(again.splits)]

    assert all(artefact.cached for artefact in again.by_name().values())
    assert [artefact.cached for artefact in other] == [False, False, True]
