"""What it costs to spell tokens that a vocabulary does not have, so that models with unknown tokens compare fairly."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from tasks.text.tokenizers import CHARACTER_PATTERN, characters

# Unicode scalar values, of which one that was never seen is drawn evenly.
NUM_CODE_POINTS = 1_114_112 - 2_048
# Beside the characters seen: the end of a token, and any other character.
NUM_EXTRA = 2


@dataclass(frozen=True)
class Speller:
    """A unigram model of the characters of the training tokens and of an end after each, with one added to each count.

    counts: by character. num_tokens: how many ends there are.
    """

    counts: dict[str, int]
    num_tokens: int

    @classmethod
    def learn(cls, tokens: pl.DataFrame) -> "Speller":
        """Count the characters of tokens, given as `token` and `count`."""
        spelled = tokens.select("count", character=characters(pl.col("token"))).explode("character")
        counts = spelled.drop_nulls().group_by("character").agg(pl.col("count").sum()).sort("character")
        return cls(dict(counts.rows()), int(tokens["count"].sum()))

    @classmethod
    def load(cls, path: Path) -> "Speller":
        """Read `spelling.json`."""
        return cls(**json.loads(path.read_bytes()))

    def save(self, path: Path) -> None:
        """Write `spelling.json`."""
        fields = {"counts": self.counts, "num_tokens": self.num_tokens}
        path.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")

    def nats_of(self, tokens: pl.Series) -> pl.Series:
        """What each token costs to spell, its end included."""
        frame = pl.DataFrame({"character": tokens.str.extract_all(CHARACTER_PATTERN)}).with_row_index("token")
        costs = pl.col("character").replace_strict(self._nats, default=self._nats_of_unseen, return_dtype=pl.Float64)
        spelled = frame.explode("character", empty_as_null=True).with_columns(
            nats=pl.when(pl.col("character").is_not_null()).then(costs)
        )
        per_token = spelled.group_by("token", maintain_order=True).agg(pl.col("nats").sum())
        return per_token["nats"] + self._log_total - math.log(self.num_tokens + 1)

    @cached_property
    def _log_total(self) -> float:
        return math.log(sum(self.counts.values()) + self.num_tokens + len(self.counts) + NUM_EXTRA)

    @cached_property
    def _nats(self) -> dict[str, float]:
        return {character: self._log_total - math.log(count + 1) for character, count in self.counts.items()}

    @property
    def _nats_of_unseen(self) -> float:
        return self._log_total + math.log(NUM_CODE_POINTS - len(self.counts))
