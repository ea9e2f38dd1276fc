"""Small language models of any tokenizer, packed as registered ones are; their weights are drawn, not fitted."""

from pathlib import Path
from typing import Any

import polars as pl
import torch

from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import save_model
from tasks.kinds.language.served_language_model import LanguageServing, ServedLanguageModel
from tasks.text.spelling import Speller
from tasks.text.subwords import learn_subwords
from tasks.text.tokenizers import characters, spaced, words
from tasks.text.vocabulary import Vocabulary

TEXT = "The king said: “Go, café!”\nThe queen went on. The king, the king!\n" * 4
CUTS = {"char": characters, "word": words, "space": spaced}


def learn(tokenizer: str, *, min_count: int = 1) -> tuple[Vocabulary, Speller]:
    texts = pl.LazyFrame({"text": [TEXT]})
    if tokenizer == "subword":
        return learn_subwords(texts, lowercase=False, max_size=300, min_count=2), Speller({}, 0)
    tokens = texts.select(token=CUTS[tokenizer](pl.col("text")).explode()).collect()
    counts = tokens.group_by("token").agg(count=pl.len()).sort("token")
    kept = counts.filter(pl.col("count") >= min_count)["token"].to_list()
    return Vocabulary(tokenizer, False, tuple(kept)), Speller.learn(counts)


def pack(
    folder: Path, tokenizer: str = "char", *, closed: bool = True, min_count: int = 1, **architecture: Any
) -> ServedLanguageModel:
    """Fill a folder as the stage `register` does, and load it."""
    vocabulary, speller = learn(tokenizer, min_count=min_count)
    network = LanguageArchitecture(**{"hidden_size": 16, "embedding_size": 8, "num_layers": 2} | architecture)
    model = LanguageModel(network, vocabulary_size=vocabulary.size, seed=4)
    torch.nn.init.normal_(model.output_weight, generator=torch.Generator().manual_seed(1))
    model.output_bias.data[0] = -20  # it hardly ever ends a text
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder)
    vocabulary.save(folder / "vocabulary.json")
    speller.save(folder / "spelling.json")
    source = {"dataset": "files", "path": "corpus.txt"}
    ServedLanguageModel.complete(folder, LanguageServing(name="small", source=source, closed=closed))
    return ServedLanguageModel.load(folder)
