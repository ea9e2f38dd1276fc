"""Where texts are: which columns of a table hold sentences, and which files of a folder are documents."""

import fnmatch
import posixpath
from collections import Counter
from collections.abc import Sequence

from tasks.discovery.columns import Column
from tasks.discovery.dialect import decode_head
from tasks.discovery.draft import Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.times import read_times
from tasks.discovery.words import TEXTS, is_named
from tasks.errors import InputError, plural


def find_texts(seen: Seen) -> list[Column]:
    """Columns of sentences; where several are, those that are called as texts are, or all but names of people."""
    candidates = [one for one in seen.columns.values() if may_be_text(one)]
    named = [one for one in candidates if is_named(one.name, TEXTS)]
    strong = [one for one in candidates if one.words > 5]  # noqa: PLR2004
    # Short texts next to one or two other columns; among more they are names, as of passengers.
    return named or strong or (candidates if len(candidates) == 1 and len(seen.columns) <= 3 else [])  # noqa: PLR2004


def may_be_text(column: Column) -> bool:
    """Whether a column holds sentences, or is called as short texts are."""
    is_short_text = not column.is_number and is_named(column.name, TEXTS) and column.words >= 1.2  # noqa: PLR2004
    return (column.is_text or (is_short_text and not column.is_class)) and not read_times(column)


def find_pattern(names: Sequence[str]) -> tuple[str, str]:
    """Which files are documents, by the commonest suffix and depth, and what is left aside."""
    (depth, suffix), _ = Counter((name.count("/"), posixpath.splitext(name)[1]) for name in names).most_common(1)[0]
    ending = f"*{suffix}" if suffix and not suffix[1:].isdigit() else "*"
    matching = [name for name in names if fnmatch.fnmatch(posixpath.basename(name), ending)]
    is_even = all(name.count("/") == depth for name in matching)
    left = len(names) - len(matching)
    pattern = ending if is_even else "/".join(["*"] * min(depth, 2) + [ending])
    return pattern, f"{plural(left, 'other file')} left aside" if left else ""


def find_encoding(seen: Seen) -> list[Setting | Question]:
    """The encoding of documents, where it is not UTF-8."""
    texts = b"\n".join(text for _, text in seen.found.documents)
    try:
        return decode_head(texts, seen.found.location)[1]
    except InputError:
        # Documents of many hands: each byte means something in it, and few are beyond ASCII.
        return [Setting("source.encoding", "latin-1", "not UTF-8 throughout")]
