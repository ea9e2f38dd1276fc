"""What the stages of a run have to say about it: problems first, then warnings, and what was done to the rows.

A stage says so in its summary: `warnings` are sentences about the data or the metrics; by one of its `problems` nothing
was learned or no metric can be trusted, and each names the setting to change.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.presentation import ScoreColumn
from tasks.errors import plural
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

if TYPE_CHECKING:
    from tasks.contract.stages import ReportModule

# What the page of a run keeps of its findings for whoever points to it.
SHOWN = ("problems", "outdone", "warnings")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Sentences of a run, each once, and under each stage of the data what it counted."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    data: dict[str, dict] = field(default_factory=dict)


def gather_findings(lineage: Lineage, contest: Contest, *later: Artefact) -> Findings:
    """Gather what the artefacts of a run say; of the models only the best candidate's problems are the run's."""
    stages = list(lineage.by_name().values())
    best = [contest.best.model, contest.best.evaluation]
    warnings = [*_say([*stages, *contest.left_out], "warnings"), *_warn_of_models(contest), *_say(later, "warnings")]
    return Findings(
        problems=list(dict.fromkeys(_say([*stages, *best], "problems"))),
        warnings=list(dict.fromkeys(warnings)),
        data={stage.stage: _count(stage.summary) for stage in stages},
    )


def describe_outdone(contest: Contest, presenting: "ReportModule") -> list[str]:
    """Say which baselines are better on test than the chosen candidate in a headline metric, and by how much.

    Test decides nothing; but a reader who sees only what won on validation would take the network for better.
    """
    shown: dict[str, list[str]] = {}
    for column in presenting.PRESENTATION.headline:
        better = _find_better(contest, column)
        if better is not None:
            shown.setdefault(better.name, []).append(_compare(contest, presenting, better, column))
    outdone = presenting.PRESENTATION.outdone
    return [f"The baseline {name} {outdone} {contest.best.name}: {', '.join(told)}." for name, told in shown.items()]


def describe_data(data: dict[str, dict]) -> str:
    """How many rows were used, left out and divided, in a line; what was done to them is told by warnings."""
    rows, splits = data["ingest"], data["split"].get("splits", {})
    filtered = [f"{count:,} others left out by where.{name}" for name, count in rows.get("filtered", {}).items()]
    divided = ", ".join(f"{splits[name]:,} {name}" for name in sorted(splits, key=_place_of_split))
    used = plural(rows["rows"], "row")
    if "steps" in rows:
        used = f"{plural(rows['steps'], 'step')} of {plural(rows['rows'], 'sequence')}"
    return "; ".join(filter(None, [f"{used} used", *filtered, divided]))


def _place_of_split(name: str) -> int:
    return SPLITS.index(name) if name in SPLITS else len(SPLITS)


def _say(artefacts: Iterable[Artefact], kind: str) -> Iterator[str]:
    return (sentence for artefact in artefacts for sentence in getattr(Summary.of(artefact), kind))


def _warn_of_models(contest: Contest) -> Iterator[str]:
    """What is said of every candidate stands alone; what is said of some models names them."""
    names: dict[str, dict[str, None]] = {}
    for scored in contest.everyone:
        for sentence in _say([scored.model, scored.evaluation], "warnings"):
            names.setdefault(sentence, {})[scored.name] = None
    candidates = {scored.name for scored in contest.candidates}
    for sentence, said_of in names.items():
        yield sentence if candidates <= said_of.keys() else f"{', '.join(said_of)}: {sentence}"


def _count(summary: dict) -> dict:
    """The counts of a summary, parts that hold counts included."""
    counted = {name: _count(value) if isinstance(value, dict) else value for name, value in summary.items()}
    return {name: value for name, value in counted.items() if _is_count(value)}


def _is_count(value: object) -> bool:
    return isinstance(value, int | float | dict) and not isinstance(value, bool) and value != {}


def _find_better(contest: Contest, column: ScoreColumn) -> Scored | None:
    """The best baseline by a metric on test, if it is better than the chosen candidate."""
    sign = -1 if column.metric in contest.settings.higher_is_better else 1
    penalties = {
        scored: sign * scored.test[column.metric]["value"]
        for scored in (contest.best, *contest.baselines)
        if column.ranks and column.metric in scored.test
    }
    if contest.best not in penalties:
        return None
    best = min(penalties, key=penalties.__getitem__)
    return None if best is contest.best else best


def _compare(contest: Contest, presenting: "ReportModule", baseline: Scored, column: ScoreColumn) -> str:
    """Both estimates, and the paired difference where the report has measured it: that to the best by validation."""
    told = column.compare(baseline.test, contest.best.test)
    if baseline is not contest.baseline or column.metric != presenting.compare_by(contest):
        return told
    gain = presenting.compare_with_baseline(contest, baseline)
    chance = ", which chance alone can explain" if gain["low"] <= 0 <= gain["high"] else ""
    return f"{told} (paired gain of {contest.best.name} {column.show_difference(gain)}{chance})"
