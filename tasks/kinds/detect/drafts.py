"""Recipes for anomaly detection, from a look at a table of series or at the archive of a benchmark."""

from collections.abc import Iterator, Sequence

from tasks.discovery.columns import Column
from tasks.discovery.draft import Draft, Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.words import ANOMALIES, is_named
from tasks.errors import plural, quoted
from tasks.kinds.detect.fitting_windows import Fitting, propose_warm_up
from tasks.kinds.detect.ingest import LABELS
from tasks.kinds.detect.recipe import RECURRENT_DETECTORS
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.split import WarmUpSettings
from tasks.panel.drafting import describe_series, missing_settings, see_series, shorter_segments

KIND = "detect"
# Numbers that both default models read in a second on two cores.
RATE = 5_000
NAB_SHARE = 0.15  # of the rows, to train on
MOST_ANOMALOUS = 0.35
NAB = "labels/combined_windows.json"
OF_NAB = (
    Setting("source.dataset", "nab"),
    Setting("source.unsorted", "keep", "a logger's clock was set back once"),
    Setting("source.duplicates", "keep"),
    Setting("source.sentinels", []),
    Setting("split.warm_up", NAB_SHARE, "rows that the benchmark does not score"),
    Setting("split.max_warm_up_rows", 750),
)


def draft(seen: Seen) -> Draft:
    """Propose a recipe for anomaly detection."""
    if any(name.endswith(NAB) for name in seen.found.names):
        reason = "the archive of the Numenta Anomaly Benchmark"
        return Draft(kind=KIND, fit=1.0, reason=reason, findings=OF_NAB, values=NAB_SHARE * seen.num_rows, rate=RATE)
    label = _find_label(seen)
    series = see_series(seen, label=label) if seen.columns else None
    if series is None:
        return Draft(kind=KIND, lacks="no column holds times, and rows do not look like steps in their order")
    length = max(series.lengths)
    if not seen.is_whole and series.rows["series"].n_unique() == 1:
        length = seen.num_rows // seen.found.num_tables
    fitting = propose_warm_up(length, split=WarmUpSettings(), shard=DetectionWindowSettings())
    if fitting is None:
        return Draft(kind=KIND, lacks=f"the longest series has {plural(length, 'row')}")
    labelled, labels = "without labels", []
    if label is not None:
        labelled = f"anomalies in {quoted(label.name)}"
        why = f"{_share(label):.1%} of the rows are anomalous; for scoring only"
        labels.append(Setting("source.label_column", label.name, why))
    return Draft(
        kind=KIND,
        fit=0.8 if label is not None else 0.4,
        reason=f"{describe_series(series)}, {labelled}",
        findings=(*series.findings, *labels, *_windows(fitting, length), *missing_settings(series)),
        values=seen.num_rows * len(series.values),
        rate=RATE,
    )


def _find_label(seen: Seen) -> Column | None:
    """A column of 0 and 1, mostly 0, that is called as labels of anomalies are."""
    chosen = seen.chosen("source.label_column")
    columns: Sequence[Column] = chosen or [one for one in seen.columns.values() if is_named(one.name, ANOMALIES)]
    for one in columns:
        contents = {str(value).casefold() for value in one.counts}
        if contents and contents <= {*LABELS} and (chosen or _share(one) <= MOST_ANOMALOUS):
            return one
    return None


def _share(label: Column) -> float:
    return sum(count for value, count in label.counts.items() if LABELS[str(value).casefold()]) / label.filled.len()


def _windows(fitting: Fitting, length: int) -> Iterator[Setting | Question]:
    """A warm-up, and windows that fit into it."""
    why = "share of each series, from its beginning, taken to be ordinary"
    yield Setting("split.warm_up", fitting.warm_up, why)
    yield Setting("shard.look_back", fitting.look_back, f"fits {length:,} rows")
    yield Setting("shard.horizon", fitting.horizon, "rows from a forecast to the row judged by it")
    yield from shorter_segments(RECURRENT_DETECTORS, fitting.look_back)
