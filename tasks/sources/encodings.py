"""Bytes that are not in the encoding a recipe says: how they are noticed, and which encodings are proposed for them."""

import codecs
import re
from collections.abc import Sequence

from tasks.errors import InputError, quoted
from tasks.sources.settings import is_wide

SAMPLE_BYTES = 2**16
MAX_PROPOSED = 2
FIRST_BEYOND_ASCII = 0x80
# Fewer such bytes fit everything.
MIN_BEYOND_ASCII = 4
WESTERN = "cp1252"
# In Western text few letters are beyond ASCII; in a text of another script they are the rule.
MAX_WESTERN_SHARE = 0.2
# Two bytes of a double-byte encoding are UTF-8 by chance about once in six, so eight different ones that go on a
# character are not chance. In encodings of single bytes, with letters in each half of the upper ones, fewer are.
LEAST_UTF8_BYTES = {False: 8, True: 3}
BEYOND_ASCII = range(128, 256)
MAX_SHOWN_BYTES = 12
SNIFFED_BYTES = 2**10
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins with the mark of UTF-16, so it is tried first
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Which of four neighbouring bytes are mostly zero in text of Latin letters.
ZERO_BYTES = {
    (False, True, False, True): "UTF-16-LE",
    (True, False, True, False): "UTF-16-BE",
    (False, True, True, True): "UTF-32-LE",
    (True, True, True, False): "UTF-32-BE",
}
# What files are written in; other encodings are rarer than the mistakes of the detector.
USUAL = frozenset(
    {
        *("gb18030", "big5", "big5hkscs", "cp932", "euc_jp", "cp949", "cp1250", "cp1251", "koi8_r", "cp1252", "cp1253"),
        *("cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "iso8859_7", "tis_620", "cp874"),
    }
)
DETECTED_AS = {"euc_jis_2004": "euc_jp"}


def propose_encodings(sample: bytes) -> list[str]:
    """The likeliest encodings of some bytes, two at most; none if they look like damaged UTF-8 or like no text."""
    text = sample.decode("utf-8", "replace")
    beyond, broken = sum(char > "\x7f" for char in text), text.count("\ufffd")
    if not broken:
        return ["utf-8"] if beyond else []
    if beyond > 2 * broken:  # characters of several bytes, and a few bytes at fault
        return []
    if sum(byte >= FIRST_BEYOND_ASCII for byte in sample) < MIN_BEYOND_ASCII:
        return []
    import charset_normalizer

    found = charset_normalizer.from_bytes(sample[:SAMPLE_BYTES])
    names = dict.fromkeys(DETECTED_AS.get(match.encoding, match.encoding) for match in found)
    usual = [name for name in names if name in USUAL and _fits(sample, name)]  # it may be detected as a larger set
    if WESTERN in usual and _share_beyond_ascii(sample) <= MAX_WESTERN_SHARE:
        usual = [WESTERN, *(name for name in usual if name != WESTERN)]
    return usual[:MAX_PROPOSED]


def remedy_for(proposed: Sequence[str]) -> str:
    """Say what to do about bytes that cannot be decoded, given what they may be."""
    if not proposed:
        return "set encoding to the one in which the file was written, then check a few rows; or clean the file."
    others = "".join(f" or {quoted(name)}" for name in proposed[1:])
    also = f" (the bytes also fit{others.removeprefix(' or')})" if others else ""
    return f"set encoding = {quoted(proposed[0])}{also}, then check a few rows; or clean the file."


def refuse_other_width(head: bytes, encoding: str, place: str) -> None:
    """Refuse UTF-16 and UTF-32, with or without a byte order mark, unless they are expected, and then all else.

    Raises InputError (E-ENC-002).
    """
    sniffed = head[:SNIFFED_BYTES]
    found = next((name for mark, name in BYTE_ORDER_MARKS if sniffed.startswith(mark)), None)
    mostly_zero = tuple(2 * sniffed[i::4].count(0) > len(sniffed[i::4]) for i in range(4))
    found = found or ZERO_BYTES.get(mostly_zero)
    expected = codecs.lookup(encoding).name.upper()
    if not is_wide(encoding):
        is_other = found is not None
    elif expected.endswith(("LE", "BE")):
        # In texts of other letters than Latin ones, line ends at least have a byte of zero.
        is_other = found not in (None, expected, expected[:-3]) or b"\0" not in sniffed
    else:
        is_other = found != expected
    if not is_other:
        return
    shown = found or "text in another encoding, or without a byte order mark"
    fix = f"set encoding = {quoted(found.lower())}" if found else f"set encoding = {quoted(_narrow(sniffed))}"
    also = f", or convert it: iconv -f {found} -t UTF-8 OLD > NEW" if found else "."
    raise InputError("E-ENC-002", f"is {shown}, expected {encoding}.", fix=f"{fix}{also}", file=place)


def _narrow(sample: bytes) -> str:
    """The likeliest encoding of text whose letters of ASCII take a byte each."""
    return next(iter(propose_encodings(sample)), "utf-8")


def refuse_utf8_read_otherwise(head: bytes, encoding: str, place: str) -> None:
    """Refuse UTF-8 that is to be read as what it is not: most bytes mean something in other encodings, too.

    Raises InputError (E-ENC-001) where all that is beyond ASCII is UTF-8, and too much for chance.
    """
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii"):
        return
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return
    going_on = sum(len(char.encode()) - 1 for char in set(text))
    if going_on < LEAST_UTF8_BYTES[_has_single_bytes(encoding)]:
        return
    beyond = re.search(rb"[\x80-\xff]+", head)
    assert beyond is not None, "more than ASCII was counted"
    raise InputError(
        "E-ENC-001",
        f"got bytes {beyond[0][:MAX_SHOWN_BYTES].hex(' ')}, which are UTF-8 as is all that follows, "
        f"expected {encoding}.",
        fix='set encoding = "utf-8" to read it as it is, or convert it.',
        file=place,
        row=1 + head[: beyond.start()].count(b"\n"),
    )


def _fits(sample: bytes, encoding: str) -> bool:
    """Tell whether a sample, which may end within a character, can be decoded."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _has_single_bytes(encoding: str) -> bool:
    """Tell whether most bytes beyond ASCII are characters by themselves."""
    characters = [byte for byte in BEYOND_ASCII if bytes([byte]).decode(encoding, "ignore")]
    return 2 * len(characters) > len(BEYOND_ASCII)


def _share_beyond_ascii(sample: bytes) -> float:
    """The share of letters that are not those of ASCII."""
    beyond = sum(byte >= FIRST_BEYOND_ASCII for byte in sample)
    return beyond / max(1, beyond + sum(bytes((byte,)).isalpha() for byte in sample))
