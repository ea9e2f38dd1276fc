"""Labels as people read them: which spellings name one class, and under which name it goes.

There are two rules. Spellings that no eye can tell apart, because they differ in Unicode form or in invisible
characters, are always one name (`plain_label`). Spellings that a person reads alike, because they differ in case, in
width, in white space or in the marks around them, have one look (`look_of`); what is done about them is for the source
to say. This module travels with registered models and belongs to the check of a recipe, so it knows the standard
library alone.
"""

import re
import unicodedata
from collections.abc import Iterable

# Format characters that are seen: signs above or below numbers (Unicode's property Prepended_Concatenation_Mark).
SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
# What is not seen (Unicode's property Default_Ignorable_Code_Point) besides format and control characters: joiners of
# graphemes, fillers, vowels without a sign, and selectors of variants.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
# Between letters that join, and between the parts of a picture, joiners do show; this is where such characters are.
JOINED = "[\u0600-\u1cff\u2190-\u2bff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U0001faff]"
IDLE_JOINER = re.compile(f"(?<!{JOINED})[\u200c\u200d]|[\u200c\u200d](?!{JOINED})")
JOINERS = "\u200c\u200d"
MARKS = "\"'`\u00b4.,;:\u3001\u3002"
TRUTH_VALUES = ("true", "false")
BRACKETS = ("Ps", "Pe", "Pi", "Pf")


def plain_label(label: str) -> str:
    """The label in Unicode form C, without characters that nobody sees."""
    if label.isascii() and label.isprintable():
        return label
    seen = "".join(char for char in label if char in JOINERS or not _is_unseen(char))
    return unicodedata.normalize("NFC", IDLE_JOINER.sub("", unicodedata.normalize("NFC", seen)))


def label_name(label: str) -> str:
    """The label in plain spelling, truth values as formats that have them write them, whatever the case: one each."""
    plain = plain_label(label)
    return plain.lower() if plain.lower() in TRUTH_VALUES else plain


def look_of(label: str) -> str:
    """What labels that look alike have in common.

    No case, width, joiners, repeated white space, marks around it, or zeros before a whole number, which spreadsheets
    take away.
    """
    folded = unicodedata.normalize("NFKC", plain_label(label).translate(dict.fromkeys(map(ord, JOINERS))))
    words = " ".join(unicodedata.normalize("NFKC", folded.casefold()).split())
    bare = words
    while bare and (_is_mark(bare[0]) or bare[0] == " "):
        bare = bare[1:]
    while bare and (_is_mark(bare[-1]) or bare[-1] == " "):
        bare = bare[:-1]
    return (bare.lstrip("0") or "0") if bare.isdecimal() else bare or words


def match_labels(labels: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """For each of some labels the known one it is: the same in plain spelling, else the only one that looks alike.

    Any other label is left out.
    """
    by_spelling = {plain_label(label): label for label in known}
    by_look: dict[str, list[str]] = {}
    for label in by_spelling.values():
        by_look.setdefault(look_of(label), []).append(label)
    matched = {}
    for label in labels:
        alike = by_look.get(look_of(label), [])
        if (same := by_spelling.get(plain_label(label))) is not None:
            matched[label] = same
        elif len(alike) == 1:
            matched[label] = alike[0]
    return matched


def spelled_out(label: str) -> str:
    """The label in quotes, with escapes for what is not seen, or not seen for what it is."""
    is_composed = unicodedata.normalize("NFC", label) == label
    return '"' + "".join(ascii(char)[1:-1] if _is_misread(char, is_composed) else char for char in label) + '"'


def _is_unseen(char: str) -> bool:
    is_format = unicodedata.category(char) == "Cf" and char not in SEEN
    # White space has its own check, and so has NUL.
    is_control = unicodedata.category(char) == "Cc" and not ("\t" <= char <= "\r" or char in "\0\x85")
    return is_format or is_control or UNSEEN.match(char) is not None


def _is_mark(char: str) -> bool:
    return char in MARKS or unicodedata.category(char) in BRACKETS


def _is_misread(char: str, is_composed: bool) -> bool:
    is_loose_mark = not is_composed and unicodedata.combining(char) != 0
    return not char.isprintable() or _is_unseen(char) or is_loose_mark or unicodedata.normalize("NFKC", char) != char
