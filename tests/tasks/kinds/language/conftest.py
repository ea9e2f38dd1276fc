"""Shards of small texts, as stage `shard` lays them out."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS

Documents = Sequence[Sequence[int]]

COLUMNS = {
    "row": pa.uint32(), "start": pa.uint64(), "num_tokens": pa.uint32(), "num_chars": pa.uint32(),
    "spelling_nats": pa.float64(),
}  # fmt: skip


def ids_of(text: str, alphabet: str) -> list[int]:
    """Ids of characters, as a vocabulary of an alphabet has them."""
    return [len(SPECIALS) + alphabet.index(character) for character in text]


def write_stream(
    folder: Path, split: str, documents: Documents, *, chars_per_token: int = 1, spelling: float = 0.0
) -> None:
    """Write the two files of a split."""
    closing = [0] if len(documents) > 1 else []
    parts = [np.array([*document, *closing]) for document in documents]
    sizes = np.array([len(part) for part in parts])
    tokens = pa.array(np.concatenate([[0], *parts]), pa.uint16())
    table = {
        "row": np.arange(len(parts)),
        "start": 1 + np.cumsum(sizes) - sizes,
        "num_tokens": sizes,
        "num_chars": [chars_per_token * len(document) + len(closing) for document in documents],
        "spelling_nats": np.full(len(parts), spelling),
    }
    write_batch(folder / f"{split}.arrow", pa.record_batch({"tokens": tokens}))
    columns = {name: pa.array(table[name], of_type) for name, of_type in COLUMNS.items()}
    write_batch(folder / f"{split}-documents.arrow", pa.record_batch(columns))


def write_batch(path: Path, batch: pa.RecordBatch) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


@pytest.fixture
def make_shards(project: Path) -> Callable[..., Artefact]:
    """Store documents of token ids: `make_shards({"train": [[2, 3], ...], "valid": ..., "test": ...}, size=5)`."""

    def make(splits: Mapping[str, Documents], *, size: int, tokenizer: str = "char", **layout: float) -> Artefact:
        def write(folder: Path) -> Summary:
            for split, documents in splits.items():
                write_stream(folder, split, documents, **layout)
            described = {"vocabulary_size": size, "tokenizer": tokenizer, "files": []}
            (folder / "streams.json").write_text(json.dumps(described))
            closing = {name: len(documents) * (len(documents) > 1) for name, documents in splits.items()}
            num_tokens = {name: sum(map(len, documents)) for name, documents in splits.items()}
            told = {
                "rows": sum(map(len, splits.values())),
                "tokenizer": tokenizer,
                "vocabulary_size": size,
                "num_targets": {name: num_tokens[name] + closing[name] for name in splits},
                "num_chars": {
                    name: num_tokens[name] * layout.get("chars_per_token", 1) + closing[name] for name in splits
                },
            }
            return Summary.model_validate(told)

        content = {name: [list(map(int, one)) for one in documents] for name, documents in splits.items()}
        return artefacts.build(
            "shard", write, module="tasks.store.artefacts", config={"content": content, "size": size, **layout}
        )

    return make
