"""What a text without fields is, and the command that makes a table of it where there is one."""

import re
from collections import Counter
from collections.abc import Sequence

from tasks.discovery.dialect import DELIMITERS

MIN_LINES, MAX_LINES = 20, 5_000
PLAIN_NUMBER = re.compile(r"[+-]?\d*[.]?\d+([eE][+-]?\d+)?")
MOST, NEARLY_ALL = 0.8, 0.95
PLAIN = "plain text, without fields or labels"
AWK = """awk '{sub(/^__label__/, ""); sub(/ /, "\\t")} 1' FILE > NEW.tsv"""


def describe_plain(text: str) -> str:
    """What a text is, and after a semicolon what to do; nothing for a table."""
    lines = [line for line in text.splitlines()[:MAX_LINES] if line.strip()]
    cells = [line.split() for line in lines]
    tagged = sum(len(one) > 1 and re.fullmatch(r"O|[BIES]-.*", one[-1]) is not None for one in cells)
    if len(lines) >= MIN_LINES and tagged > MOST * len(lines):
        return "text with a tag for each token (CoNLL)"
    if min(map(len, cells)) > 1 and all(map(PLAIN_NUMBER.fullmatch, cells[-1])):
        return "fields parted by spaces; make a table of them: awk '{$1=$1} 1' OFS=, FILE > NEW.csv"
    if what := _describe_labelled(lines):
        return what
    if max(sum(mark in line for line in lines) for mark in DELIMITERS) >= 0.9 * len(lines):
        return ""
    lengths = [len(one) for one in cells[1:] or cells]
    is_prose = sum(lengths) > 2 * len(lengths) and '"' not in lines[0]
    return PLAIN if is_prose else ""


def _describe_labelled(lines: Sequence[str]) -> str:
    """What lines are that begin with a label and a space."""
    parted = [line.split(" ", 1) for line in dict.fromkeys(lines) if "\t" not in line]
    labels = Counter(parts[0] for parts in parted if len(parts) > 1 and " " in parts[1].strip())
    num_recurring = sum(count for count in labels.values() if count > 1)
    if len(parted) < MIN_LINES or len(labels) > len(parted) // 5 or num_recurring < NEARLY_ALL * len(parted):
        return ""
    is_fasttext = all(label.startswith("__label__") for label in labels)
    what = "labels before texts as fastText has them" if is_fasttext else "a label, a space and a text on each line"
    if any(" __label__" in f" {parts[-1]}" for parts in parted):
        return f"{what}, several before some; leave one label on each line"
    return f"{what}; make a table of them: {AWK}"
