"""Token ids back to text, one at a time as a model writes them; this module travels with registered models."""

import codecs
from collections.abc import Callable, Iterable, Sequence

# Ids 0 and 1 are numbers, never strings; in streams of documents padding stands between them as their boundary.
SPECIALS = ("<pad>", "<unk>")
BOUNDARY_ID, UNKNOWN_ID = range(len(SPECIALS))
# What stands for an unknown token among characters and among words.
UNKNOWN_CHARACTER, UNKNOWN_WORD = "\ufffd", "<unk>"
LINE_END = "\n"
CLOSING = frozenset(".,;:!?%)]}\u2026\u201d\u2019")  # dots, and closing quotation marks
OPENING = frozenset("([{$#\u201c\u2018")


class TextWriter:
    """What tokens read, whatever they are; a boundary writes nothing, and begins a new text.

    Characters, subwords and tokens between spaces come out as they went in. Words do so but for case and white space,
    which their tokenizer leaves out: one space stands between two, and none before a closing mark.
    """

    def __init__(self, tokenizer: str, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._write: Callable[[str], str] = {
            "char": _as_it_is,
            "word": self._write_word,
            "space": self._write_between_spaces,
            "subword": self._write_bytes,
        }[tokenizer]
        self._writes_words = tokenizer in ("word", "space")
        self._last = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token_id: int) -> str:
        """What can be shown once a token is written: nothing, if it ends within a character."""
        if token_id == BOUNDARY_ID:
            return self.finish()
        if token_id == UNKNOWN_ID:
            return self._write_unknown()
        return self._write(self._tokens[token_id - len(SPECIALS)])

    def finish(self) -> str:
        """What is left of a text that ends here."""
        self._last = ""
        return self.flush()

    def flush(self) -> str:
        """The bytes of a character that was begun, as the mark of an unknown one."""
        return self._decoder.decode(b"", final=True)

    def _write_unknown(self) -> str:
        return self._write(UNKNOWN_WORD) if self._writes_words else self.flush() + UNKNOWN_CHARACTER

    def _write_between_spaces(self, token: str) -> str:
        is_parted = self._last not in ("", LINE_END) and token != LINE_END
        self._last = token
        return f" {token}" if is_parted else token

    def _write_word(self, token: str) -> str:
        is_parted = bool(self._last) and self._last not in OPENING and token not in CLOSING
        self._last = token
        return f" {token}" if is_parted else token

    def _write_bytes(self, token: str) -> str:
        return self._decoder.decode(bytes(map(BYTE_OF.__getitem__, token)))


def write_text(writer: TextWriter, ids: Iterable[int]) -> str:
    """The text of all of some ids."""
    return "".join(map(writer.add, ids)) + writer.finish()


def _as_it_is(token: str) -> str:
    return token


def _bytes_by_character() -> dict[str, int]:
    """The byte for which each character of a byte-level merge stands: itself if it is visible in Latin-1.

    The others are numbered from 256. Source: Radford et al. 2019, the code of GPT-2, `bytes_to_unicode`.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), 0xAC + 1), *range(ord("\u00ae"), 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + number): byte for number, byte in enumerate(others)}


BYTE_OF = _bytes_by_character()
