"""Texts to token ids as the stage `encode` makes them, for a model that is served.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tasks.errors import InputError
from tasks.text.pieces import PIECE_CHARS, cut_at_white_space
from tasks.text.readable import fault_of_text
from tasks.text.spelling import Speller
from tasks.text.tokenizers import normalized, singly_spaced
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary, tokens_of_text

MAX_CHARACTERS = 100_000_000


@dataclass(frozen=True, kw_only=True)
class ReadTexts:
    """Texts as a model reads them: token ids, and per text its characters and what its unknown tokens cost to spell.

    num_chars [n] counts a text as it was cut into tokens, without its end; spelling_nats [n].
    """

    ids: list[np.ndarray]
    num_chars: np.ndarray
    spelling_nats: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TextReader:
    """Cuts texts into the tokens of a vocabulary."""

    vocabulary: Vocabulary
    speller: Speller

    def read(self, texts: Sequence[str]) -> ReadTexts:
        """Cut texts into ids.

        Raises InputError (E-TEXT-001) naming the first text that cannot be read.
        """
        check_texts(texts)
        pieces = self._encode(self._cut(texts)).select(
            "row", "ids", "spelling_nats", num_chars=pl.col("text").str.len_chars()
        )
        joined = pl.col("ids").list.explode(keep_nulls=False, empty_as_null=False)
        rows = pieces.group_by("row", maintain_order=True).agg(joined, pl.col("num_chars", "spelling_nats").sum())
        ids = [ids.to_numpy() for ids in rows["ids"]]
        return ReadTexts(ids=ids, **{name: rows[name].to_numpy() for name in ("num_chars", "spelling_nats")})

    def unknown_tokens(self, text: str) -> list[str]:
        """The tokens of a text that the vocabulary does not have, each once."""
        return self._unknown(self._with_tokens(self._cut([text])))["token"].unique(maintain_order=True).to_list()

    def _cut(self, texts: Sequence[str]) -> pl.DataFrame:
        """Normalize texts and part long ones: `row` and `text` of each piece."""
        text = normalized(pl.col("text"), lowercase=self.vocabulary.lowercase)
        text = singly_spaced(text) if self.vocabulary.tokenizer == "space" else text
        rows = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).with_columns(text).with_row_index("row")
        pieces = pl.Series(
            [cut_at_white_space(one, PIECE_CHARS) for one in rows["text"].to_list()], dtype=pl.List(pl.String)
        )
        return rows.with_columns(text=pieces).explode("text")

    def _encode(self, pieces: pl.DataFrame) -> pl.DataFrame:
        """Add the `ids` and the `spelling_nats` of pieces."""
        if self.vocabulary.tokenizer == "subword":
            encoded = pieces.with_columns(ids=self.vocabulary.ids_of_text(pl.col("text")), spelling_nats=0.0)
            nothing = pl.lit([], dtype=pl.List(self.vocabulary.id_type))
            return encoded.with_columns(pl.when(pl.col("text") == "").then(nothing).otherwise("ids").alias("ids"))
        pieces = self._with_tokens(pieces)
        unknown = self._unknown(pieces)
        costs = unknown.select("piece", spelling_nats=self.speller.nats_of(unknown["token"]))
        spelling = costs.group_by("piece").agg(pl.col("spelling_nats").sum())
        return pieces.join(spelling, on="piece", how="left", maintain_order="left").with_columns(
            pl.col("spelling_nats").fill_null(0.0)
        )

    def _with_tokens(self, pieces: pl.DataFrame) -> pl.DataFrame:
        tokenizer, lowercase = self.vocabulary.tokenizer, self.vocabulary.lowercase
        cut = pieces.with_columns(tokens=tokens_of_text(pl.col("text"), tokenizer=tokenizer, lowercase=lowercase))
        return cut.with_columns(ids=self.vocabulary.ids_one_by_one(pl.col("tokens"))).with_row_index("piece")

    def _unknown(self, pieces: pl.DataFrame) -> pl.DataFrame:
        """Each unknown token with its `piece`."""
        holding = pieces.filter(pl.col("ids").list.contains(UNKNOWN_ID))
        tokens = holding.select("piece", "ids", pl.col("tokens").alias("token")).explode("ids", "token")
        return tokens.filter(pl.col("ids") == UNKNOWN_ID)


def check_texts(texts: Sequence[object]) -> None:
    """Refuse a list that holds anything but texts that can be read.

    Raises InputError (E-TEXT-001) naming the first.
    """
    for index, text in enumerate(texts):
        fault = fault_of_text(text, max_characters=MAX_CHARACTERS)
        if fault is not None:
            raise InputError("E-TEXT-001", f"text {index}: {fault}.", fix="leave this text out or correct it.")
