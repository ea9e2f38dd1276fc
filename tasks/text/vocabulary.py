"""Tokens to ids: a vocabulary learned from training rows.

Ids 0 and 1 are `<pad>` and `<unk>`. They are numbers, never strings: a token of the data that happens to be
spelled `<pad>` gets an id of its own and cannot become padding.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.text.tokenizers import characters, normalized, spaced, words
from tasks.text.writer import BOUNDARY_ID, SPECIALS, UNKNOWN_ID, TextWriter, write_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["BOUNDARY_ID", "SPECIALS", "UNKNOWN_ID", "Vocabulary", "never_empty", "smallest_unsigned", "tokens_of_text"]


def smallest_unsigned(num_values: int) -> pl.DataType:
    """The narrowest unsigned integer type that tells `num_values` values apart."""
    if num_values <= 2**8:
        return pl.UInt8()
    return pl.UInt16() if num_values <= 2**16 else pl.UInt32()


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in id order after the specials, with the rules that cut text into them.

    `merges` holds the trained byte-pair encoder of the `subword` tokenizer, else it is empty.
    """

    tokenizer: str
    lowercase: bool
    tokens: tuple[str, ...]
    merges: str = ""

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read `vocabulary.json`."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(fields["tokenizer"], fields["lowercase"], tuple(fields["tokens"]), fields["merges"])

    def save(self, path: Path) -> None:
        """Write `vocabulary.json`."""
        fields = {
            "format": 1,
            "tokenizer": self.tokenizer,
            "lowercase": self.lowercase,
            "specials": SPECIALS,
            "tokens": self.tokens,
            "merges": self.merges,
        }
        path.write_text(json.dumps(fields, ensure_ascii=False, indent=0), encoding="utf-8")

    @property
    def size(self) -> int:
        """Number of ids, specials included."""
        return len(SPECIALS) + len(self.tokens)

    @property
    def id_type(self) -> pl.DataType:
        """The integer type of the ids."""
        return smallest_unsigned(self.size)

    def ids_of_tokens(self, tokens: pl.Expr) -> pl.Expr:
        """Ids of a list of tokens; one outside the vocabulary becomes `<unk>`, and so does an empty list."""
        return never_empty(self.ids_one_by_one(tokens), self.id_type)

    def ids_one_by_one(self, tokens: pl.Expr) -> pl.Expr:
        """As many ids as tokens; one outside the vocabulary becomes `<unk>`."""
        known = pl.Enum(self.tokens)
        position = pl.element().cast(known, strict=False).to_physical().cast(pl.UInt32)
        return tokens.list.eval((position + len(SPECIALS)).fill_null(UNKNOWN_ID).cast(self.id_type))

    def ids_of_text(self, text: pl.Expr) -> pl.Expr:
        """Ids of a text, by the tokenizer's own rules."""
        if self.tokenizer == "subword":
            ids = normalized(text, lowercase=self.lowercase).map_batches(
                self._merge_into_ids, return_dtype=pl.List(self.id_type), is_elementwise=True
            )
            return never_empty(ids, self.id_type)
        return self.ids_of_tokens(tokens_of_text(text, tokenizer=self.tokenizer, lowercase=self.lowercase))

    def writer(self) -> TextWriter:
        """What turns ids into text one at a time, as they are generated."""
        return TextWriter(self.tokenizer, self.tokens)

    def text_of(self, ids: Iterable[int]) -> str:
        """The text that ids stand for; of words without case and with other white space than it had."""
        return write_text(self.writer(), ids)

    def _merge_into_ids(self, texts: pl.Series) -> pl.Series:
        encodings = self._byte_pair_encoder.encode_batch_fast(texts.to_list(), add_special_tokens=False)
        ids = [np.asarray(encoding.ids, dtype=np.uint32) + len(SPECIALS) for encoding in encodings]
        return pl.Series(texts.name, ids, dtype=pl.List(pl.UInt32)).cast(pl.List(self.id_type))

    @cached_property
    def _byte_pair_encoder(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.merges)


def tokens_of_text(text: pl.Expr, *, tokenizer: str, lowercase: bool) -> pl.Expr:
    """Tokens of a text as a list of strings, for all tokenizers but `subword`."""
    cut = {"word": words, "char": characters, "space": spaced}[tokenizer]
    return cut(normalized(text, lowercase=lowercase))


def never_empty(ids: pl.Expr, id_type: pl.DataType) -> pl.Expr:
    """Give a text without any token one `<unk>`, so that every sequence has a last state.

    As a function of the finished lists: an expression that names `ids` twice would cut every text twice.
    """

    def fill(lists: pl.Series) -> pl.Series:
        filled = lists.list.len() > 0
        if filled.all():
            return lists
        return lists.zip_with(filled, pl.Series([[UNKNOWN_ID]], dtype=pl.List(id_type)).new_from_index(0, len(lists)))

    return ids.map_batches(fill, return_dtype=pl.List(id_type), is_elementwise=True)
