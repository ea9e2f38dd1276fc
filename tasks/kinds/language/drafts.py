"""Recipes for language models, from a look at texts: a book, folders of documents, or a column of sentences."""

from tasks.discovery.draft import Draft, Question, Setting
from tasks.discovery.labels import find_labels, find_split
from tasks.discovery.plain_texts import PLAIN
from tasks.discovery.seen import Seen
from tasks.discovery.texts import find_encoding, find_pattern, find_texts
from tasks.errors import plural, quoted
from tasks.sources.input_files import suffixes_of

KIND = "language"
# Characters that both default models read in a second, on two cores.
RATE = 25_000
# Of a text this large, models of words learn more in the same time.
MANY_BYTES = 20_000_000
GIVEN_UNKNOWN = "<unk>"
CHARS_PER_WORD = 6


def draft(seen: Seen) -> Draft:
    """Propose a recipe for a language model; labels make the texts a matter for classification first."""
    if seen.format == "folder":
        return _of_documents(seen)
    if seen.columns:
        return _of_table(seen)
    if seen.what != PLAIN:
        return Draft(kind=KIND, lacks=f"texts ({seen.what or 'none were found'})")
    num_bytes = seen.found.num_bytes
    files = "a text" if seen.found.num_tables <= 1 else plural(seen.found.num_tables, "text")
    read = [one for one in seen.findings if one.key != "source.format"]
    if suffixes_of(seen.found.name)[0] != ".txt":
        read.append(Setting("source.format", "folder", "a text, whatever its suffix"))
    lines = Setting("source.documents", "file", 'or "line", if each line is a text of its own')
    is_cut = GIVEN_UNKNOWN.encode() in seen.found.head
    return Draft(
        kind=KIND,
        fit=0.9,
        reason=f"{files} of about {num_bytes:,} bytes",
        findings=(*read, lines, *_tokenizer(num_bytes, is_cut=is_cut)),
        values=num_bytes,
        rate=RATE,
    )


def _of_table(seen: Seen) -> Draft:
    texts = seen.chosen("source.text_columns", "source.text_column") or find_texts(seen)
    if not texts:
        return Draft(kind=KIND, lacks="no column holds sentences")
    split, num_bytes = find_split(seen, aside=texts), seen.num_rows * sum(text.words for text in texts) * CHARS_PER_WORD
    findings = [*seen.findings, Setting("source.text_columns", [text.name for text in texts])]
    if split:
        findings.append(Setting("source.split_column", split.name, "the official split"))
    return Draft(
        kind=KIND,
        fit=0.2 if find_labels(seen, aside=texts) else 0.5,
        reason=f"{seen.num_rows:,} texts in {' and '.join(quoted(one.name) for one in texts)}",
        findings=(*findings, *_tokenizer(num_bytes)),
        values=num_bytes,
        rate=RATE,
    )


def _of_documents(seen: Seen) -> Draft:
    found = seen.found
    include, left = find_pattern(found.names)
    findings: list[Setting | Question] = [Setting("source.format", "folder", "a document in each file")]
    findings += [Setting("source.include", include, left)] if include != "*.txt" else []
    return Draft(
        kind=KIND,
        fit=0.5,
        reason=f"{plural(len(found.names), 'document')} of about {found.num_bytes:,} bytes",
        findings=(*findings, *find_encoding(seen), *_tokenizer(found.num_bytes)),
        values=found.num_bytes,
        rate=RATE,
    )


def _tokenizer(num_bytes: float, *, is_cut: bool = False) -> list[Setting]:
    """What to set where characters are not the units to begin with."""
    if is_cut:
        return [Setting("encode.tokenizer", "space", f"{GIVEN_UNKNOWN} stands in a text that was cut into tokens")]
    if num_bytes > MANY_BYTES:
        return [Setting("encode.tokenizer", "word", 'or "subword", which leaves nothing out; characters take longer')]
    return []
