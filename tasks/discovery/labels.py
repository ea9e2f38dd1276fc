"""Which column of a table holds the class of a row, and which its official split."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tasks.discovery.columns import Column
from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.times import is_clock, read_times
from tasks.discovery.words import IDS, LABELS, is_named
from tasks.errors import quoted
from tasks.sources.label_names import look_of, plain_label
from tasks.sources.row_checks import SPLIT_NAMES

MAX_NUMBERS = 20
MIN_ROWS = 4
SHOWN = 6
PLAINLY = ("label", "labels", "class", "target", "category", "sentiment")


def find_labels(seen: Seen, *, aside: Sequence[Column], is_wide: bool = False) -> list[Column]:
    """Columns of classes: those that are called so, or all; `is_wide` finds all whatever they are called."""
    columns = [one for one in seen.columns.values() if one not in aside and one is not find_split(seen, aside=aside)]
    candidates = [one for one in columns if _may_be_class(one, seen.height)]
    called = [one for one in candidates if is_named(one.name, LABELS)]
    exactly = [one for one in called if one.name.casefold() in PLAINLY]
    return candidates if is_wide or not called else exactly if len(exactly) == 1 else called


def find_split(seen: Seen, *, aside: Sequence[Column]) -> Column | None:
    """The column of the official split: train, test and the like, and nothing else."""
    for one in seen.columns.values():
        contents = [SPLIT_NAMES.get(str(value).casefold()) for value in one.counts]
        if one not in aside and {"train", "test"} <= {*contents} and None not in contents:
            return one
    return None


def describe_classes(label: Column, *, is_asked: bool = False) -> Iterator[Setting | Question]:
    """The classes and their numbers of rows as a comment, and a question where two of them look alike."""
    if is_asked:
        return
    counts = Counter[str]()
    for name, count in label.counts.items():
        counts[plain_label(name)] += count
    shown = ", ".join(f"{quoted(name)} {count:,}" for name, count in counts.most_common(SHOWN))
    more = ", ..." if len(counts) > SHOWN else ""
    yield Setting("", None, f"{len(counts)} classes: {shown}{more}")
    if label.is_number and any("." in name for name in counts):
        yield Setting("source.labels", {name: name.partition(".")[0] for name in sorted(counts)})
    looks: dict[str, list[str]] = {}
    for name in counts:
        looks.setdefault(look_of(name), []).append(name)
    alike = next((names for names in looks.values() if len(names) > 1), None)
    if alike:
        merged = Choice({"source.similar_labels": "merge"}, "one, and so are others that look alike")
        kept = Choice({"source.similar_labels": "keep"}, "different classes")
        yield Question(f"are {' and '.join(map(quoted, alike[:2]))} one class?", (merged, kept))


def _may_be_class(column: Column, num_rows: int) -> bool:
    if not column.is_class or num_rows < MIN_ROWS:
        return False
    if column.is_number:
        return column.is_whole and column.distinct <= MAX_NUMBERS
    is_id = is_named(column.name, IDS) and column.distinct > MAX_NUMBERS
    return not is_id and not read_times(column) and not is_clock(column)
