"""Byte-pair encoding through Hugging Face `tokenizers`, the optional extra `rnnflow[subword]`."""

from collections.abc import Iterator

import polars as pl

from tasks.errors import InputError
from tasks.text.tokenizers import normalized
from tasks.text.vocabulary import Vocabulary

BATCH_ROWS = 2_000


def learn_subwords(texts: pl.LazyFrame, *, lowercase: bool, max_size: int, min_count: int) -> Vocabulary:
    """Learn byte-level merges from a column `text`; no text is ever out of vocabulary.

    Raises InputError (E-CFG-005) without the extra, or if `max_size` is smaller than the 256 bytes.
    Source: Sennrich, Haddow and Birch 2016, arXiv 1508.07909.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ModuleNotFoundError:
        raise InputError(
            "E-CFG-005",
            'the "subword" tokenizer needs the package tokenizers.',
            fix='install it with "pip install rnnflow[subword]", or set encode.tokenizer to "word".',
            column="encode.tokenizer",
        ) from None
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if max_size < len(alphabet):
        raise InputError(
            "E-CFG-005",
            f"got {max_size}, expected at least {len(alphabet)}, one entry for each byte.",
            fix=f"set encode.max_size to {len(alphabet)} or more.",
            column="encode.max_size",
        )
    # No special tokens here: a text that spells one must not be read as one.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max_size, min_frequency=min_count, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(_batches(texts, lowercase=lowercase), trainer)
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    return Vocabulary("subword", lowercase, tuple(tokens), merges=tokenizer.to_str())


def _batches(texts: pl.LazyFrame, *, lowercase: bool) -> Iterator[list[str]]:
    query = texts.select(normalized(pl.col("text"), lowercase=lowercase))
    for batch in query.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        yield batch["text"].to_list()
