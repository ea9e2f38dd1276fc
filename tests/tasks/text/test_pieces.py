from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text import pieces
from tasks.text.pieces import cut_at_white_space, join_pieces, write_pieces


@given(st.text(alphabet="ab \n", max_size=100), st.integers(1, 20))
def test_pieces_are_the_text_end_to_end_and_cut_no_word_that_fits(text: str, limit: int):
    parts = cut_at_white_space(text, limit)

    assert "".join(parts) == text
    assert all(len(part) <= limit for part in parts)
    assert all(part[-1].isspace() or len(part) == limit for part in parts[:-1])


def test_long_and_short_texts_come_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "PIECE_CHARS", 50)
    monkeypatch.setattr(pieces, "GROUP_BYTES", 100)
    monkeypatch.setattr(pieces, "READ_ROWS", 3)
    texts = ["a b", "word " * 100, "", "x", "line\n" * 40, "end"]
    rows = pl.LazyFrame({"row": range(10, 16), "text": texts}, schema={"row": pl.UInt32, "text": pl.String})

    parts = write_pieces(rows, tmp_path / "pieces.parquet")
    tokens = parts.select("row", "num_chars", tokens=pl.col("text").str.extract_all(r"\S+"))
    tokens.sink_parquet(tmp_path / "tokens.parquet")
    join_pieces(tmp_path / "tokens.parquet", tmp_path / "joined.parquet")

    joined = pl.read_parquet(tmp_path / "joined.parquet")
    assert parts.collect().height > len(texts)
    assert dict(joined.select("row", "tokens").rows()) == {10 + i: text.split() for i, text in enumerate(texts) if text}
    assert dict(joined.select("row", "num_chars").rows()) == {10 + i: len(text) for i, text in enumerate(texts) if text}
