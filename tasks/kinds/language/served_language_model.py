"""A language model as it is served: what texts cost it, and what it writes after a prompt.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
"""

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from pydantic import ValidationError

from rnnmodels.language.sampling import Sampling
from tasks.errors import InputError, quoted
from tasks.kinds.language.source import LanguageSource
from tasks.kinds.language.text_reader import ReadTexts, TextReader
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.served_source import ServedSource
from tasks.text.spelling import Speller
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary

if TYPE_CHECKING:
    from rnnmodels.language.language_model import LanguageModel

NETWORK = ("model.safetensors", "model.json")
VOCABULARY_FILE, SPELLING_FILE = ENCODER = ("vocabulary.json", "spelling.json")
# Of a prompt this many tokens are read at once; a caller may do something else in between.
PROMPT_TOKENS = 256
MAX_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class LanguageServing(ServedSource[LanguageSource]):
    """How a language model reads texts: as its source did, with an end after each (`closed`) or without one."""

    name: str
    closed: bool

    @classmethod
    def trained_as(cls) -> type[LanguageSource]:
        """Documents."""
        return LanguageSource


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a text came to its end: by the model itself (`has_ended`), or as it was long enough."""

    num_tokens: int
    has_ended: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class ServedLanguageModel:
    """A model in evaluation mode with what it was fitted with."""

    model: "LanguageModel"
    reader: TextReader
    serving: LanguageServing

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.language.language_model import LanguageModel
        from rnnmodels.training.checkpoint import load_model

        serving = LanguageServing(**read_serving(folder))
        vocabulary, speller = Vocabulary.load(folder / VOCABULARY_FILE), Speller.load(folder / SPELLING_FILE)
        reader = TextReader(vocabulary=vocabulary, speller=speller)
        return cls(model=load_model(LanguageModel, folder), reader=reader, serving=serving)

    @classmethod
    def complete(cls, folder: Path, serving: LanguageServing) -> None:
        """Complete a folder that holds network and encoder with `serving.json`."""
        parts, model = (*NETWORK, *ENCODER), f"{cls.__module__}:{cls.__qualname__}"
        write_serving(folder, kind="language", serving=dataclasses.asdict(serving), parts=parts, model=model)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model knows."""
        return self.reader.vocabulary

    @property
    def is_backward(self) -> bool:
        """Whether the model reads texts from their end to their beginning."""
        return self.model.architecture.direction == "backward"

    def score_texts(self, texts: Sequence[str]) -> pl.DataFrame:
        """What texts cost: `num_chars`, `num_tokens`, `nats`, and the part of it that spells unknown tokens.

        Columns: num_chars u32, num_tokens u32, nats f64, spelling_nats f64. Each text is read from its beginning. If
        the model learned ends of texts, the end counts as a character and a token. Raises InputError (E-TEXT-001).
        """
        return self.score(self.reader.read(texts))

    def score(self, read: ReadTexts) -> pl.DataFrame:
        """What texts that were read cost, as `score_texts` says."""
        num_ends = int(self.serving.closed)
        nats = [part.sum(dtype=np.float64) for part in self.nats_of_ids(read.ids)]
        columns = {
            "num_chars": pl.Series(read.num_chars + num_ends, dtype=pl.UInt32),
            "num_tokens": pl.Series([len(ids) + num_ends for ids in read.ids], dtype=pl.UInt32),
            "nats": pl.Series(nats, dtype=pl.Float64) + read.spelling_nats,
            "spelling_nats": pl.Series(read.spelling_nats, dtype=pl.Float64),
        }
        return pl.DataFrame(columns)

    def nats_of_ids(self, documents: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Nats of each token of documents in the order in which the model reads them, and of the end after each."""
        from rnnmodels.language.scoring import score_documents

        ordered = [ids[::-1] for ids in documents] if self.is_backward else documents
        return score_documents(self.model, ordered, closed=self.serving.closed) if ordered else []

    def generate(self, prompt: str = "", **sampling: Any) -> Iterator[str]:  # noqa: ANN401 (as `Sampling` has them)
        """Yield what follows a prompt piece by piece, as it is written; `sampling` is named as in `Sampling`.

        Raises InputError (E-GEN-001, E-GEN-002, E-GEN-003, E-TEXT-001).
        """
        return filter(None, self.write(prompt, read_sampling(sampling)))

    def write(self, prompt: str, sampling: Sampling) -> Generator[str, None, Written]:
        """Yield what follows a prompt in pieces; some are empty, while the prompt is read and within a character.

        Raises InputError (E-GEN-001, E-GEN-003, E-TEXT-001) before the first.
        """
        from rnnmodels.language.generation import TokenWriter

        ids = self._read_prompt(prompt)
        writer = TokenWriter(self.model, sampling, may_end=self.serving.closed)
        text, num_tokens = self.vocabulary.writer(), 0
        for first in range(0, len(ids), PROMPT_TOKENS):
            writer.read(ids[first : first + PROMPT_TOKENS])
            yield ""
        read = "".join(map(text.add, ids))
        # A tokenizer that leaves out white space does not know that the prompt ends with some.
        is_parted = prompt[-1:].isspace() and not read[-1:].isspace()
        for num_tokens, token in enumerate(writer.write(), start=1):
            piece = text.add(token)
            yield piece.removeprefix(" ") if is_parted and num_tokens == 1 else piece
        yield text.finish()
        return Written(num_tokens=num_tokens, has_ended=writer.has_ended, seed=writer.seed)

    def _read_prompt(self, prompt: str) -> list[int]:
        if self.is_backward:
            raise InputError(
                "E-GEN-003",
                "this model reads texts from their end, so it cannot write what follows a prompt.",
                fix="name a model that reads forward.",
            )
        ids = self.reader.read([prompt]).ids[0].tolist()
        num_unknown = ids.count(UNKNOWN_ID)
        if num_unknown and (self.vocabulary.tokenizer == "char" or num_unknown == len(ids)):
            unknown = ", ".join(map(quoted, self.reader.unknown_tokens(prompt)[:MAX_SHOWN]))
            raise InputError(
                "E-GEN-001", f"the prompt holds what the model never saw: {unknown}.", fix="leave it out of the prompt."
            )
        return ids


def read_sampling(values: dict[str, Any]) -> Sampling:
    """How to write, from values by name.

    Raises InputError (E-GEN-002) naming the first that is unknown or out of bounds.
    """
    try:
        return Sampling(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            "E-GEN-002",
            f"{'.'.join(map(str, first['loc']))}: got {quoted(first['input'])}: {first['msg']}.",
            fix=f"set {', '.join(Sampling.model_fields)} within their bounds.",
        ) from None
