"""Messages, docs and templates are written in plain English: phrases to avoid, and what to write instead."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BETTER = {
    r"(?<!here )\b(is|are) no (?!longer|more|less|better|later|earlier|such)\w+": "is not a ...",
    r"\b(that|which) is none\b": "is not one, is invalid",
    r"\bis none of\b": "is not one of",
    r"\bbeside\b": "next to, besides, compared with",
    r"\bbehind (it|them|the (?!champion|linear)\w+|its|their)\b": "after, of, for",
    r"\bso many (?!that\b|were\b)": "that many, or the number",
    r"\bmend(s|ed|ing)?\b": "fix, correct",
    r"\bbe it\b": "whether, even if",
    r"\bas of any\b": "as for any",
    r"\b(an?|one) \w+ less\b(?! than)": "one ... fewer, a missing ...",
    r"\bof late\b": "recently",
    r"\bfare[sd]?\b": "perform, score",
    r"\bas ever\b": "as before",
    r"\bworn\b": "overused",
    r"\bfigures\b": "numbers, metrics, plots",
    r"\b(most|how|more) surprising\b|\bsurprise of\b|\bdecades of surprise\b": "anomaly score",
    r"\ball the same[,:.;]": "anyway",
    r"\bof themselves\b": "automatically",
    r"\bto a name of its own\b": "to an unused name",
    r"\bis owed\b|\bowes\b": "is pending",
}
PHRASES = {re.compile(phrase): better for phrase, better in BETTER.items()}

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks/README.md"]
WRITTEN = [*PAGES, *ROOT.glob("docs/*.md")]
PRODUCT = [
    path
    for room in ("flows", "tasks", "rnnmodels")
    for path in (ROOT / room).rglob("*")
    if path.suffix in {".py", ".j2", ".toml"}
]


def read_prose(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that people read, with their numbers: of Python its comments and the strings that hold a sentence."""
    text = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_prose = token.type == tokenize.COMMENT or tokenize.tok_name[token.type].endswith(("STRING", "STRING_MIDDLE"))
        if is_prose and " " in token.string:
            yield from enumerate(token.string.splitlines(), start=token.start[0])


def find_phrases(path: Path) -> list[str]:
    """Each phrase to avoid, as file:line, with better words; names in braces, backticks and tags are not prose."""
    return [
        f'{path.relative_to(ROOT)}:{number}: "{found.group()}"; better: {better}'
        for number, line in read_prose(path)
        for phrase, better in PHRASES.items()
        for found in [phrase.search(re.sub(r"\{[^{}]*\}|`[^`]*`", "…", line))]
        if found
    ]


def test_prose_avoids_phrases_that_are_not_plain_english():
    assert [phrase for path in [*WRITTEN, *PRODUCT] for phrase in find_phrases(path)] == []


def test_phrases_are_found_in_strings_and_comments_but_not_in_code(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text('beside = 1  # beside the point\nmessage = f"{beside} is no step"\n\n"""A\nfigures of it."""\n')

    assert find_phrases(path) == [
        'module.py:1: "beside"; better: next to, besides, compared with',
        'module.py:2: "is no step"; better: is not a ...',
        'module.py:5: "figures"; better: numbers, metrics, plots',
    ]
