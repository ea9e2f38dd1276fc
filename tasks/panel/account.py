"""What was done to rows while they were read, in sentences with counts."""

from collections.abc import Mapping

from tasks.errors import plural, quoted
from tasks.panel.frames import bare_name
from tasks.panel.ordering import Unsorted
from tasks.panel.source import StampedSource
from tasks.panel.summaries import OrderedSummary
from tasks.sources.intake import Intake


def describe_reading(found: OrderedSummary, settings: StampedSource, intake: Intake, *, num_rows: int) -> list[str]:
    """Say what `describe_changes` does, and how many numbers are missing."""
    missing = [f"{plural(count, 'missing value')} in {_column(name)}" for name, count in found.missing.items()]
    said = describe_changes(
        settings,
        intake,
        num_rows=num_rows,
        unsorted=Unsorted(found.unsorted, found.unsorted_explained),
        num_merged=found.duplicates,
        sentinels=found.sentinels,
    )
    return said + missing


def describe_changes(
    settings: StampedSource,
    intake: Intake,
    *,
    num_rows: int,
    unsorted: Unsorted,
    num_merged: int,
    sentinels: Mapping[str, int],
) -> list[str]:
    """Say how many rows were left out, and of the good ones how many were sorted or merged or held sentinels.

    A prediction gives account of the rows left out itself.
    """
    is_prediction = intake.refused is not None
    counted = {
        f"bad rows or files left out: {intake.skipped:,}": 0 if is_prediction else intake.skipped,
        f"blank lines skipped: {intake.blank_lines:,}": 0 if is_prediction else intake.blank_lines,
        _describe_sorting(unsorted): unsorted.count,
        describe_merging(settings.duplicates, num_merged, num_rows - num_merged): num_merged,
    }
    counted |= {
        f"read {plural(count, 'sentinel')} in {_column(name)} as missing": count for name, count in sentinels.items()
    }
    return [warning for warning, count in counted.items() if count]


def _describe_sorting(unsorted: Unsorted) -> str:
    said = f"sorted {plural(unsorted.count, 'row')} that went back in time"
    return f"{said}, though {unsorted.explained}: check that they are one series" if unsorted.explained else said


def describe_merging(policy: str, num_merged: int, num_left: int) -> str:
    """Say with numbers what became of rows that repeated a time."""
    kept = "their mean" if policy == "mean" else f"the {policy}"
    return (
        f"{num_left + num_merged:,} rows became {num_left:,}: {plural(num_merged, 'row')} repeated a time of their "
        f'series; of such rows {kept} was kept (duplicates = "{policy}")'
    )


def _column(name: str) -> str:
    return quoted(bare_name(name))
