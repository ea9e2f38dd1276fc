"""Recipes for labelled texts, from a look at a table or at folders of documents."""

import itertools
import posixpath
from collections import Counter
from collections.abc import Sequence

from tasks.discovery.columns import Column
from tasks.discovery.draft import Choice, Draft, Question, Setting
from tasks.discovery.labels import describe_classes, find_labels, find_split
from tasks.discovery.seen import Seen
from tasks.discovery.texts import find_encoding, find_pattern, find_texts, may_be_text
from tasks.discovery.words import TEXTS, is_named
from tasks.errors import plural, quoted
from tasks.sources.label_names import plain_label
from tasks.sources.row_checks import SPLIT_NAMES

KIND = "classify"
# Tokens that both default models read in a second, forwards and back, on two cores.
RATE = 30_000
IMDB_TOKENS = 25_000 * 233 * 1.2
IMDB = "aclImdb/t"
SMALL, SMALL_SHARE = 300, 0.2


def draft(seen: Seen) -> Draft:
    """Propose a recipe for labelled texts."""
    if seen.format == "folder":
        return _of_documents(seen)
    if not seen.columns:
        return Draft(kind=KIND, lacks=f"a table, or folders of texts ({seen.what or 'not one'})")
    texts = seen.chosen("source.text_columns", "source.text_column") or find_texts(seen)
    if not texts:
        return Draft(kind=KIND, lacks="no column holds sentences")
    labels = seen.chosen("source.label_column") or find_labels(seen, aside=texts)
    if not labels:
        return Draft(kind=KIND, lacks=f"{quoted(texts[0].name)} holds texts, and no column a class for each")
    label, split = labels[0], find_split(seen, aside=(*texts, labels[0]))
    words, named = sum(text.words for text in texts), " and ".join(quoted(one.name) for one in texts)
    findings = [*seen.findings, _text_setting(seen, texts, words), _label_setting(seen, labels, texts)]
    if split:
        findings.append(Setting("source.split_column", split.name, "the official split"))
    findings += describe_classes(label, is_asked=len(labels) > 1)
    if not split and seen.num_rows < SMALL:
        why = f"{plural(seen.num_rows, 'row')} leave few to judge by"
        findings += [Setting("split.valid", SMALL_SHARE, why), Setting("split.test", SMALL_SHARE)]
    if any(text.is_unparted for text in texts):
        findings.append(Setting("encode.tokenizer", "char", 'no spaces between words; or "subword"'))
    num_classes = len({plain_label(name) for name in label.counts})
    return Draft(
        kind=KIND,
        fit=0.9 if any(is_named(text.name, TEXTS) for text in texts) or words > 6 else 0.6,  # noqa: PLR2004
        reason=f"texts in {named}, one of {num_classes} classes in {quoted(label.name)}",
        findings=tuple(findings),
        values=seen.num_rows * max(words, 1) * 1.2,
        rate=RATE,
    )


def _text_setting(seen: Seen, texts: Sequence[Column], words: float) -> Setting:
    others = [one.name for one in seen.columns.values() if may_be_text(one) and one not in texts]
    why = f"or {quoted(others[0])}" if others else ""
    if len(texts) > 1:
        why = f"joined, or one of them alone; {plural(round(words), 'word')} on average"
    return Setting("source.text_columns", [text.name for text in texts], why)


def _label_setting(seen: Seen, labels: Sequence[Column], texts: Sequence[Column]) -> Setting | Question:
    if len(labels) == 1:
        rest = [one for one in find_labels(seen, aside=texts, is_wide=True) if one is not labels[0]]
        why = f"or {', '.join(quoted(one.name) for one in rest[:3])}" if rest else ""
        return Setting("source.label_column", labels[0].name, why)
    shown = {one: ", ".join(map(quoted, itertools.islice(one.counts, 3))) for one in labels}
    choices = [Choice({"source.label_column": one.name}, f"{one.distinct} classes: {shown[one]}") for one in labels]
    return Question("which column is to be predicted?", tuple(choices))


def _of_documents(seen: Seen) -> Draft:
    found = seen.found
    if any(IMDB in name for name in found.names) and found.path is not None and found.path.is_file():
        dataset = Setting("source.dataset", "imdb", "the archive of the Large Movie Review Dataset")
        reason = "the Large Movie Review Dataset with its official split"
        return Draft(kind=KIND, fit=1.0, reason=reason, findings=(dataset,), values=IMDB_TOKENS, rate=RATE)
    counts = Counter(posixpath.basename(posixpath.dirname(name)) for name in found.names)
    classes = [name for name, _ in counts.most_common() if name and name not in SPLIT_NAMES]
    if len(classes) < 2:  # noqa: PLR2004 (a choice takes two)
        what = ", ".join(sorted({posixpath.splitext(name)[1] or "no suffix" for name in found.names})[:4])
        return Draft(kind=KIND, lacks=f"no folders named after classes around the files ({what}), and no table")
    include, left = find_pattern(found.names)
    counted = ", ".join(f"{name} {counts[name]:,}" for name in classes[:6])
    about, at_least = ("", "") if found.is_whole else ("about ", "at least ")
    findings: list[Setting | Question] = [Setting("source.format", "folder", "a folder for each class")]
    findings += [Setting("source.include", include, left)] if include != "*.txt" else []
    findings += find_encoding(seen)
    findings += [Setting("", None, f"{at_least}{len(classes)} classes: {counted}")]
    return Draft(
        kind=KIND,
        fit=0.9,
        reason=f"{about}{found.num_documents:,} documents in {len(classes)} folders of classes",
        findings=tuple(findings),
        values=found.num_bytes / 5,
        rate=RATE,
    )
