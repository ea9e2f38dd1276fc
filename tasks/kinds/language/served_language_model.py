"""A language model as it is served: what texts cost it, and what it writes after a prompt.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
"""

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from pydantic import ValidationError

from rnnmodels.language.sampling import Sampling
from tasks.errors import InputError, quoted
from tasks.kinds.language.source import LanguageSource
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.served_source import ServedSource
from tasks.text.pieces import cut_at_white_space
from tasks.text.readable import fault_of_text
from tasks.text.spelling import Speller
from tasks.text.tokenizers import normalized, singly_spaced
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary, tokens_of_text

if TYPE_CHECKING:
    from rnnmodels.language.language_model import LanguageModel

NETWORK = ("model.safetensors", "model.json")
ENCODER = ("vocabulary.json", "spelling.json")
MAX_CHARACTERS = 100_000_000
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
class ReadTexts:
    """Texts as a model reads them: token ids, and per text its characters and what its unknown tokens cost to spell.

    num_chars [n] counts a text as it was cut into tokens, its end not included; spelling_nats [n].
    """

    ids: list[np.ndarray]
    num_chars: np.ndarray
    spelling_nats: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a text came to its end: by the model itself (`has_ended`), or as it was long enough."""

    num_tokens: int
    has_ended: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class ServedLanguageModel:
    """A model in evaluation mode with the vocabulary that it was fitted with."""

    model: "LanguageModel"
    vocabulary: Vocabulary
    speller: Speller
    serving: LanguageServing

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.language.language_model import LanguageModel
        from rnnmodels.training.checkpoint import load_model

        return cls(
            serving=LanguageServing(**read_serving(folder)),
            model=load_model(LanguageModel, folder),
            vocabulary=Vocabulary.load(folder / ENCODER[0]),
            speller=Speller.load(folder / ENCODER[1]),
        )

    @classmethod
    def complete(cls, folder: Path, serving: LanguageServing) -> None:
        """Complete a folder that holds network and encoder with `serving.json`."""
        fields = {"kind": "language", "serving": dataclasses.asdict(serving), "parts": (*NETWORK, *ENCODER)}
        write_serving(folder, **fields, model=f"{cls.__module__}:{cls.__qualname__}")

    @property
    def is_backward(self) -> bool:
        """Whether the model reads texts from their end to their beginning."""
        return self.model.architecture.direction == "backward"

    def score_texts(self, texts: Sequence[str]) -> pl.DataFrame:
        """What texts cost: `num_chars`, `num_tokens` (u32), `nats`, unknown tokens spelled, and `spelling_nats` of it.

        Each is read from its beginning. The end of a text counts as a character and as a token, where the model
        learned ends. Raises InputError (E-TEXT-001).
        """
        return self.score(self.read(texts))

    def score(self, read: ReadTexts) -> pl.DataFrame:
        """What texts that were read cost, as `score_texts` says."""
        nats = np.array([part.sum(dtype=np.float64) for part in self.nats_of_ids(read.ids)], dtype=np.float64)
        num_ends = int(self.serving.closed)
        columns = {
            "num_chars": pl.Series(read.num_chars + num_ends, dtype=pl.UInt32),
            "num_tokens": pl.Series([len(ids) + num_ends for ids in read.ids], dtype=pl.UInt32),
            "nats": pl.Series(nats + read.spelling_nats, dtype=pl.Float64),
            "spelling_nats": pl.Series(read.spelling_nats, dtype=pl.Float64),
        }
        return pl.DataFrame(columns)

    def nats_of_ids(self, documents: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Nats of each token of documents, in the order in which the model reads them; its end comes last."""
        from rnnmodels.language.scoring import score_documents

        if not documents:
            return []
        ordered = [ids[::-1] for ids in documents] if self.is_backward else documents
        return score_documents(self.model, ordered, closed=self.serving.closed)

    def read(self, texts: Sequence[str]) -> ReadTexts:
        """Cut texts into ids, as the stage `encode` does.

        Raises InputError (E-TEXT-001) naming the first text that cannot be read.
        """
        check_texts(texts)
        cut = self._cut(texts)
        ids = self._encode(cut["text"])
        spelling = self._spelling_nats(cut["text"], ids)
        pieces = cut.select("row", ids=ids, num_chars=pl.col("text").str.len_chars(), spelling_nats=spelling)
        rows = pieces.group_by("row", maintain_order=True).agg(
            pl.col("ids").list.explode(keep_nulls=False, empty_as_null=False), pl.exclude("row", "ids").sum()
        )
        return ReadTexts(
            ids=[ids.to_numpy() for ids in rows["ids"]],
            num_chars=rows["num_chars"].to_numpy(),
            spelling_nats=rows["spelling_nats"].to_numpy(),
        )

    def generate(self, prompt: str = "", **sampling: Any) -> Iterator[str]:  # noqa: ANN401 (as `Sampling` has them)
        """Yield a text after a prompt in pieces, as soon as each is written; `sampling` as `Sampling` names it.

        Raises InputError (E-GEN-001, E-GEN-002, E-GEN-003, E-TEXT-001).
        """
        return filter(None, self.write(prompt, read_sampling(sampling)))

    def write(self, prompt: str, sampling: Sampling) -> Generator[str, None, Written]:
        """Yield a text after a prompt in pieces; some are empty, while the prompt is read and within a character.

        Raises InputError (E-GEN-001, E-GEN-003, E-TEXT-001) before the first.
        """
        from rnnmodels.language.generation import TokenWriter

        prompt_ids = self.read_prompt(prompt)
        writer, text, num_tokens = TokenWriter(self.model, sampling), self.vocabulary.writer(), 0
        for part in batched(prompt_ids, PROMPT_TOKENS):
            writer.read(part)
            yield ""
        read = "".join(map(text.add, prompt_ids))
        for num_tokens, token in enumerate(writer.write(), start=1):
            piece = text.add(token)
            # A tokenizer that leaves out white space does not know that the prompt ends with some.
            is_parted = num_tokens == 1 and prompt[-1:].isspace() and not read[-1:].isspace()
            yield piece.removeprefix(" ") if is_parted else piece
        yield text.flush()
        return Written(num_tokens=num_tokens, has_ended=writer.has_ended, seed=writer.seed)

    def read_prompt(self, prompt: str) -> list[int]:
        """Ids of a prompt.

        Raises InputError: E-GEN-001 if the model would not know what it reads, E-GEN-003 if it cannot write, E-TEXT-001.
        """
        if self.is_backward:
            raise InputError(
                "E-GEN-003",
                "this model reads texts from their end, so it cannot write what follows a prompt.",
                fix='name a model that was trained with direction = "forward".',
            )
        ids = self.read([prompt]).ids[0].tolist()
        num_unknown = ids.count(UNKNOWN_ID)
        if num_unknown and (self.vocabulary.tokenizer == "char" or num_unknown == len(ids)):
            raise InputError(
                "E-GEN-001",
                f"the prompt holds what the training text did not: {', '.join(map(quoted, self._unknown_in(prompt)))}.",
                fix="leave it out of the prompt.",
            )
        return ids

    def _unknown_in(self, prompt: str) -> list[str]:
        tokens = self._cut([prompt]).select(token=self._tokens_of(pl.col("text")).explode())["token"].unique(
            maintain_order=True
        )
        return tokens.filter(~tokens.is_in(list(self.vocabulary.tokens))).head(MAX_SHOWN).to_list()

    def _cut(self, texts: Sequence[str]) -> pl.DataFrame:
        """The pieces of normalized texts, with the `row` of each."""
        text = normalized(pl.col("text"), lowercase=self.vocabulary.lowercase)
        text = singly_spaced(text) if self.vocabulary.tokenizer == "space" else text
        rows = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).with_columns(text).with_row_index("row")
        pieces = pl.Series([cut_at_white_space(one) for one in rows["text"]], dtype=pl.List(pl.String))
        return rows.with_columns(text=pieces).explode("text")

    def _tokens_of(self, text: pl.Expr) -> pl.Expr:
        return tokens_of_text(text, tokenizer=self.vocabulary.tokenizer, lowercase=self.vocabulary.lowercase)

    def _encode(self, pieces: pl.Series) -> pl.Series:
        if self.vocabulary.tokenizer == "subword":
            ids = pl.select(self.vocabulary.ids_of_text(pl.lit(pieces))).to_series()
            return ids
        return pl.select(self.vocabulary.ids_one_by_one(self._tokens_of(pl.lit(pieces)))).to_series()

    def _spelling_nats(self, pieces: pl.Series, ids: pl.Series) -> pl.Series:
        """What the unknown tokens of each piece cost to spell."""
        ...


def check_texts(texts: Sequence[object]) -> None:
    """Refuse a list that holds anything but texts that can be read.

    Raises InputError (E-TEXT-001) naming the first.
    """
    for index, text in enumerate(texts):
        fault = fault_of_text(text, max_characters=MAX_CHARACTERS)
        if fault is not None:
            raise InputError("E-TEXT-001", f"text {index}: {fault}.", fix="leave this text out or correct it.")


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
