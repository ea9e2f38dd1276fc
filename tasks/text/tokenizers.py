"""Text to tokens, as Polars expressions: the same ones in training and in the served model."""

import polars as pl

# A word may hold apostrophes ("don't", "o'clock"); every other visible character is a token of its own.
WORD_PATTERN = r"\w+(?:['\u2019]\w+)*|[^\w\s]"  # \u2019 is the typographic apostrophe
CHARACTER_PATTERN = r"(?s)."
SPACED_PATTERN = r"\n|\S+"
LINE_BREAK_TAG = r"<br\s*/?>"


def normalized(text: pl.Expr, *, lowercase: bool) -> pl.Expr:
    """Text in Unicode normal form C, with line feeds as line ends, tags of line breaks as spaces, lower-cased if asked.

    Canonically equal texts ("é" as one or two code points) come out equal.
    """
    plain = with_line_feeds(text).str.replace_all(LINE_BREAK_TAG, " ")
    cased = plain.str.to_lowercase() if lowercase else plain
    return composed(cased)


def with_line_feeds(text: pl.Expr) -> pl.Expr:
    """Text with a line feed alone where Windows ends a line."""
    return text.str.replace_all(r"\r+\n", "\n")


def composed(text: pl.Expr) -> pl.Expr:
    """Text in Unicode normal form C."""
    return text.map_batches(_compose, return_dtype=pl.String, is_elementwise=True)


def words(text: pl.Expr) -> pl.Expr:
    """Words, contractions whole, and single punctuation marks, as a list of strings."""
    return text.str.extract_all(WORD_PATTERN)


def characters(text: pl.Expr) -> pl.Expr:
    """Code points, white space included, as a list of strings."""
    return text.str.extract_all(CHARACTER_PATTERN)


def spaced(text: pl.Expr) -> pl.Expr:
    """What stands between spaces, and line ends, as a list of strings: for texts that were cut into tokens before."""
    return text.str.extract_all(SPACED_PATTERN)


def singly_spaced(text: pl.Expr) -> pl.Expr:
    """Text as its tokens between spaces tell it: one space between two, none at the ends of lines."""
    return text.str.replace_all(r"[^\S\n]+", " ").str.replace_all(r" ?\n ?", "\n").str.strip_chars(" ")


def _compose(texts: pl.Series) -> pl.Series:
    # Normalizing costs as much as all the rest, and ASCII needs none: touch the other texts only.
    beyond_ascii = texts.str.len_bytes() != texts.str.len_chars()
    if not beyond_ascii.any():
        return texts
    return texts.scatter(beyond_ascii.arg_true(), texts.filter(beyond_ascii).str.normalize("NFC"))
