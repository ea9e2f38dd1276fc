"""What the report and the dashboards show of language models."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contract.contest import Contest, Scored
from tasks.contract.presentation import Presentation, ScoreColumn
from tasks.contract.report_contents import ReportContents
from tasks.contract.summaries import FittedSummary
from tasks.kinds.language import plots
from tasks.kinds.language.evaluate import LanguageEvaluationSettings
from tasks.kinds.language.metrics import Advantage, measure_advantage
from tasks.kinds.language.samples import read_samples
from tasks.kinds.language.summaries import DividedSummary, EncodedTextSummary, StreamSummary
from tasks.statistics.intervals import Interval
from tasks.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Beside a baseline this many times as bad as the worst candidate the others could not be told apart in a figure.
FAR_ABOVE = 1.5
NATS = ScoreColumn(metric="nats_per_char", title="nats/char", digits=4)
COLD = ScoreColumn(metric="cold_nats_per_char", title="cold nats/char", digits=4)
PRESENTATION = Presentation(
    headline=(NATS, COLD),
    columns=(
        NATS,
        COLD,
        ScoreColumn(metric="bits_per_char", title="bits/char", digits=4),
        ScoreColumn(metric="perplexity", title="perplexity", digits=2, page_digits=2, ranks=False),
    ),
    template=Path(__file__).with_name("report.html.j2"),
    trial=("score texts, one a line", "{predict} {example} scores.csv"),
    outdone="predicts better on test than",
)


def gather_details(contents: ReportContents) -> dict:
    """Collect what only the page of a language model shows."""
    lineage, contest = contents.lineage, contents.contest
    advantage = None if contest.baseline is None else _measure_advantage(contest, contest.baseline)
    streams = StreamSummary.of(lineage.shards)
    vocabulary = Vocabulary.load(lineage.encoded.file("vocabulary.json"))
    best = contest.best.model
    return {
        "scored": {"unit": "characters", **{split: streams.num_chars[split] for split in ("valid", "test")}},
        "divided": DividedSummary.of(lineage.splits),
        "read": EncodedTextSummary.of(lineage.encoded),
        "lowercase": vocabulary.lowercase,
        "samples": read_samples(best, vocabulary, best_epoch=FittedSummary.of(best).best_epoch),
        "advantage_p_value": None if advantage is None else advantage.p_value,
    }


def compare_by(contest: Contest[LanguageEvaluationSettings]) -> str:
    """The metric that compares models on test: the deciding one."""
    return contest.settings.select_by


def compare_with_baseline(contest: Contest[LanguageEvaluationSettings], baseline: Scored) -> Interval:
    """How many nats per test character less than a baseline the registered model needs, paired."""
    return _measure_advantage(contest, baseline).gain


def draw_figures(facts: dict) -> dict[str, "Figure"]:
    """Draw the plots that only the page of a language model shows, by name."""
    candidates = facts["candidates"]
    worst = max(_nats_of(model) for model in candidates)
    baselines = [model for model in facts["baselines"] if _nats_of(model) < FAR_ABOVE * worst]
    scores = {model["name"]: model["metrics"]["test"] for model in (*candidates, *baselines)}
    positions = [{model["name"]: model["positions"] for model in group} for group in (candidates, baselines)]
    figures = {
        "comparison": plots.draw_comparison(scores, facts["protocol"]["confidence"]),
        "positions": plots.draw_positions(*positions),
    }
    sliced = {one["name"]: one["slices"] for one in (facts["best"], facts["baseline"]) if one and one["slices"]}
    return figures | ({"slices": plots.draw_slices(sliced)} if sliced else {})


def _nats_of(model: dict) -> float:
    return model["metrics"]["test"]["nats_per_char"]["value"]


def _measure_advantage(contest: Contest[LanguageEvaluationSettings], baseline: Scored) -> Advantage:
    settings = contest.settings
    return measure_advantage(contest.best.model, baseline.model, settings.select_by, settings.bootstrap)
