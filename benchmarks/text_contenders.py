"""The contenders of `text_preparation`: rows in Parquet to encoded ids, vocabulary included.

All contenders do the same work: line-break tags become spaces, text is lower-cased, one regular expression cuts
words (contractions whole) and punctuation marks, the 30,000 most frequent tokens become the vocabulary, and every
row is written with its ids. What is not equal favours the rival: only rnnflow composes Unicode (NFC).
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measure

if TYPE_CHECKING:
    import polars as pl
    from tokenizers import Tokenizer

VOCABULARY_SIZE = 30_000
SPECIALS = ["<pad>", "<unk>"]
UNKNOWN_ID = 1


@dataclass(frozen=True)
class Contender:
    """A way to encode rows into a folder; its modules are imported before the clock starts."""

    modules: tuple[str, ...]
    encode: Callable[[Path, Path], None]


def encode_with_rnnflow(rows: Path, folder: Path) -> None:
    """Learn the vocabulary and write the ids with the product's own functions."""
    import polars as pl

    from tasks.kinds.classify.encode import EncodeSettings, encode_words

    frame = pl.scan_parquet(rows).select("row", "label", "text")
    settings = EncodeSettings(max_size=VOCABULARY_SIZE, min_count=1)
    encode_words({"train": frame}, settings, folder).save(folder / "vocabulary.json")


def encode_with_hugging_face(rows: Path, folder: Path, *, num_proc: int) -> None:
    """Train a WordLevel tokenizer, then map it over the rows in `num_proc` processes into Arrow files."""
    import datasets

    datasets.disable_progress_bars()
    columns = ["row", "label", "text"]
    dataset = datasets.Dataset.from_parquet(str(rows), cache_dir=str(folder / "cache"), columns=columns)
    tokenizer = train_word_level(batch["text"] for batch in dataset.select_columns("text").iter(1_000))
    kept = {name: dataset.features[name] for name in ("row", "label")}
    dataset.map(
        lambda batch: {"tokens": [encoding.ids for encoding in tokenizer.encode_batch_fast(batch["text"])]},
        batched=True,
        num_proc=num_proc if num_proc > 1 else None,
        remove_columns=["text"],
        features=datasets.Features({**kept, "tokens": datasets.List(datasets.Value("uint16"))}),
        cache_file_name=str(folder / "ids.arrow"),
    )
    tokenizer.save(str(folder / "vocabulary.json"))


def train_word_level(texts: Iterable[list[str]]) -> "Tokenizer":
    """Train Hugging Face's WordLevel model with the rules of rnnflow's `word` tokenizer."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    from tasks.text.tokenizers import LINE_BREAK_TAG, WORD_PATTERN

    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    no_tags = normalizers.Replace(Regex(LINE_BREAK_TAG), " ")
    tokenizer.normalizer = normalizers.Sequence([no_tags, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="removed", invert=True)
    size = VOCABULARY_SIZE + len(SPECIALS)
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


RNNFLOW = "rnnflow"
CONTENDERS = {
    RNNFLOW: Contender(("polars", "tasks.encode"), encode_with_rnnflow),
    "hugging-face-1": Contender(("datasets", "tokenizers"), partial(encode_with_hugging_face, num_proc=1)),
    "hugging-face-2": Contender(("datasets", "tokenizers"), partial(encode_with_hugging_face, num_proc=2)),
}


def encode(name: str, rows: Path, folder: Path) -> dict:
    """Run one contender in this process."""
    contender = CONTENDERS[name]
    for module in contender.modules:
        importlib.import_module(module)
    started = time.perf_counter()
    contender.encode(rows, folder)
    return {"work_s": time.perf_counter() - started}


def count(folder: Path) -> dict:
    """Count the tokens that rnnflow encoded, and the share outside the vocabulary."""
    from tasks.kinds.classify.encode import measure_tokens
    from tasks.text.vocabulary import Vocabulary

    return measure_tokens(folder / "train.parquet", Vocabulary.load(folder / "vocabulary.json"))


def compare(ours: Path, theirs: Path) -> dict:
    """Count the tokens of a rival, and the share of all tokens that it encodes as the same word as rnnflow."""
    import polars as pl

    our_rows = pl.read_parquet(ours / "train.parquet", columns=["row", "tokens"])
    files = sorted(theirs.glob("ids*.arrow"))
    their_rows = pl.concat(pl.read_ipc_stream(file, columns=["row", "tokens"]) for file in files)
    equally_long = pl.col("tokens").list.len() == pl.col("tokens_right").list.len()
    pairs = our_rows.join(their_rows, on="row").filter(equally_long)
    our_ids, their_ids = (pairs[name].explode() for name in ("tokens", "tokens_right"))
    num_equal = int((translated(our_ids, ours, theirs) == their_ids).sum())
    num_ours, num_theirs = (int(frame["tokens"].list.len().sum()) for frame in (our_rows, their_rows))
    return {"num_tokens": num_theirs, "agreement": num_equal / max(num_ours, num_theirs)}


def translated(our_ids: "pl.Series", ours: Path, theirs: Path) -> "pl.Series":
    """Turn our ids into the ids that the other vocabulary gives to the same words."""
    import polars as pl

    from tasks.text.vocabulary import Vocabulary

    their_id_of = json.loads((theirs / "vocabulary.json").read_bytes())["model"]["vocab"]
    words = [*SPECIALS, *Vocabulary.load(ours / "vocabulary.json").tokens]
    return pl.Series([their_id_of.get(word, UNKNOWN_ID) for word in words], dtype=pl.UInt16).gather(our_ids)


def main() -> None:
    """Do one command, named with its arguments by a driver, and answer it."""
    command, *arguments = sys.argv[1:]
    with measure.answering() as out:
        if command == "encode":
            name, *paths = arguments
            figures = encode(name, *map(Path, paths))
        else:
            figures = {"count": count, "compare": compare}[command](*map(Path, arguments))
        measure.answer(figures, out)


if __name__ == "__main__":
    main()
