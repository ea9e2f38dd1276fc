"""Recipes for labelled texts, from a look at a table or at folders of documents."""

import fnmatch
import itertools
import posixpath
from collections import Counter
from collections.abc import Sequence

from tasks.discovery.columns import Column
from tasks.discovery.dialect import decode_head
from tasks.discovery.draft import Choice, Draft, Question, Setting
from tasks.discovery.labels import describe_classes, find_labels, find_split
from tasks.discovery.seen import Seen
from tasks.discovery.times import read_times
from tasks.discovery.words import TEXTS, is_named
from tasks.errors import InputError, plural, quoted
from tasks.sources.label_names import plain_label
from tasks.sources.row_checks import SPLIT_NAMES

KIND = "classify"
# Tokens that both default models read in a second, forwards and back, on two cores.
RATE = 30_000
IMDB = "aclImdb/t"
SMALL, SMALL_SHARE = 300, 0.2


def draft(seen: Seen) -> Draft:
    """Propose a recipe for labelled texts."""
    if seen.format == "folder":
        return _of_documents(seen)
    if not seen.columns:
        return Draft(kind=KIND, lacks=f"a table, or folders of texts ({seen.what or 'not one'})")
    texts = seen.chosen("source.text_columns", "source.text_column") or _find_texts(seen)
    if not texts:
        return Draft(kind=KIND, lacks="no column holds sentences")
    labels = seen.chosen("source.label_column") or find_labels(seen, aside=texts)
    if not labels:
        return Draft(kind=KIND, lacks=f"{quoted(texts[0].name)} holds texts, and no column a class for each")
    label, split = labels[0], find_split(seen, aside=(*texts, labels[0]))
    words = sum(text.words for text in texts)
    findings: list[Setting | Question] = [
        *seen.findings,
        _text_setting(seen, texts),
        *_label_setting(seen, labels, texts),
        *([Setting("source.split_column", split.name, "the official split")] if split else []),
        *describe_classes(label, is_asked=len(labels) > 1),
        *_shares(seen.num_rows, has_split=split is not None),
        *_tokens(texts),
    ]
    num_classes = len({plain_label(name) for name in label.counts})
    strength = 0.9 if any(is_named(text.name, TEXTS) for text in texts) or words > 6 else 0.6  # noqa: PLR2004
    return Draft(
        kind=KIND,
        fit=strength,
        reason=f"texts in {_listed(texts)}, one of {num_classes} classes in {quoted(label.name)}",
        findings=tuple(findings),
        values=seen.num_rows * max(words, 1) * 1.2,
        rate=RATE,
    )


def _find_texts(seen: Seen) -> list[Column]:
    """Columns of sentences; where several are, those that are called as texts are, or all but names of people."""
    candidates = [one for one in seen.columns.values() if _may_be_text(one)]
    named = [one for one in candidates if is_named(one.name, TEXTS)]
    if named:
        return named
    strong = [one for one in candidates if one.words > 5]  # noqa: PLR2004
    if strong:
        return strong
    # Short texts next to one or two other columns; among more they are names, as of passengers.
    return candidates if len(candidates) == 1 and len(seen.columns) <= 3 else []  # noqa: PLR2004


def _may_be_text(column: Column) -> bool:
    is_short_text = not column.is_number and is_named(column.name, TEXTS) and column.words >= 1.2  # noqa: PLR2004
    return (column.is_text or (is_short_text and not column.is_class)) and not read_times(column)


def _text_setting(seen: Seen, texts: Sequence[Column]) -> Setting:
    names = [text.name for text in texts]
    others = [one.name for one in seen.columns.values() if _may_be_text(one) and one.name not in names]
    why = (
        f"joined, or one of them alone; {plural(round(sum(t.words for t in texts)), 'word')} on average"
        if len(names) > 1
        else ""
    )
    if not why and others:
        why = f"or {quoted(others[0])}"
    return Setting("source.text_columns", names, why)


def _label_setting(seen: Seen, labels: Sequence[Column], texts: Sequence[Column]) -> list[Setting | Question]:
    if len(labels) == 1:
        rest = [one for one in find_labels(seen, aside=texts, is_wide=True) if one.name != labels[0].name]
        why = f"or {', '.join(quoted(one.name) for one in rest[:3])}" if rest else ""
        return [Setting("source.label_column", labels[0].name, why)]
    choices = tuple(
        Choice(
            {"source.label_column": one.name},
            f"{one.distinct} classes: {', '.join(map(quoted, itertools.islice(one.counts, 3)))}",
        )
        for one in labels
    )
    return [Question("which column is to be predicted?", choices)]


def _shares(num_rows: int, *, has_split: bool) -> list[Setting | Question]:
    if has_split or num_rows >= SMALL:
        return []
    why = f"{plural(num_rows, 'row')} leave few to judge by"
    return [Setting("split.valid", SMALL_SHARE, why), Setting("split.test", SMALL_SHARE)]


def _tokens(texts: Sequence[Column]) -> list[Setting | Question]:
    if not any(text.is_unparted for text in texts):
        return []
    return [Setting("encode.tokenizer", "char", 'no spaces between words; or "subword"')]


def _listed(columns: Sequence[Column]) -> str:
    return " and ".join(quoted(one.name) for one in columns)


def _of_documents(seen: Seen) -> Draft:
    found = seen.found
    if any(IMDB in name for name in found.names) and found.path is not None and found.path.is_file():
        return _of_imdb()
    folders = Counter(posixpath.dirname(name) for name in found.names)
    parents = {posixpath.basename(folder) for folder in folders if folder}
    classes = {name for name in parents if name not in SPLIT_NAMES}
    if len(classes) < 2:  # noqa: PLR2004 (a choice takes two)
        what = ", ".join(sorted({posixpath.splitext(name)[1] or "no suffix" for name in found.names})[:4])
        return Draft(kind=KIND, lacks=f"no folders named after classes around the files ({what}), and no table")
    include, left = _pattern(found.names)
    encoding = _encoding(seen)
    counts = Counter(posixpath.basename(posixpath.dirname(name)) for name in found.names)
    counted = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(6) if name in classes)
    about = "" if found.is_whole else "at least "
    findings: list[Setting | Question] = [
        *([Setting("source.format", "folder", "a folder for each class")]),
        *([Setting("source.include", include, left)] if include != "*.txt" else []),
        *encoding,
        Setting("", None, f"{about}{len(classes)} classes: {counted}"),
    ]
    return Draft(
        kind=KIND,
        fit=0.9,
        reason=f"{len(found.names):,} documents in {len(classes)} folders of classes",
        findings=tuple(findings),
        values=found.num_bytes / 5,
        rate=RATE,
    )


def _of_imdb() -> Draft:
    findings = (Setting("source.dataset", "imdb", "the archive of the Large Movie Review Dataset"),)
    return Draft(
        kind=KIND,
        fit=1.0,
        reason="the Large Movie Review Dataset with its official split",
        findings=findings,
        values=25_000 * 233 * 1.2,
        rate=RATE,
    )


def _pattern(names: Sequence[str]) -> tuple[str, str]:
    """Which files are documents, by the commonest suffix and depth, and what is left aside."""
    forms = Counter((name.count("/"), posixpath.splitext(name)[1]) for name in names)
    (depth, suffix), _ = forms.most_common(1)[0]
    ending = f"*{suffix}" if suffix and not suffix[1:].isdigit() else "*"
    pattern = "/".join(["*"] * min(depth, 2) + [ending])
    plain = (
        ending
        if all(name.count("/") == depth for name in names if fnmatch.fnmatch(posixpath.basename(name), ending))
        else pattern
    )
    left = sum(not fnmatch.fnmatch(name, "*" + ending) for name in names)
    return plain, f"{plural(left, 'other file')} left aside" if left else ""


def _encoding(seen: Seen) -> list[Setting | Question]:
    texts = b"\n".join(text for _, text in seen.found.documents)
    try:
        return [one for one in decode_head(texts, seen.found.location)[1] if isinstance(one, Setting | Question)]
    except InputError:
        # Documents of many hands: each byte means something in it, and few are beyond ASCII.
        return [Setting("source.encoding", "latin-1", "not UTF-8 throughout")]
