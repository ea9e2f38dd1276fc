"""Stage `report`: one HTML page that says what was run, what came out and how far to trust it.

The page stands alone: images are inlined, nothing is fetched, no script runs. Texts and names from the data are
escaped as HTML, and their control and bidirectional characters are spelled out.
"""

import base64
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import plots, store
from tasks.contest import Contest, Lineage
from tasks.errors import printable
from tasks.intervals import Interval, mean_with_interval
from tasks.progress import Progress, emit
from tasks.store import Artefact

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

TEMPLATE = "report.html.j2"


@dataclass(frozen=True, kw_only=True)
class ReportContents:
    """The artefacts of one run."""

    recipe_name: str
    lineage: Lineage
    contest: Contest
    registered: Artefact
    gated: Artefact

    def by_name(self) -> dict[str, Artefact]:
        """Every artefact under a name of its own, in the order of the run."""
        return {**self.lineage.by_name(), **self.contest.inputs(), "registered": self.registered, "gated": self.gated}


def gather_facts(contents: ReportContents) -> dict:
    """Collect what the page shows from manifests and files; nothing else is asked."""
    lineage, best = contents.lineage, contents.contest.best
    scores = {one.name: read_json(one.evaluation, "metrics.json") for one in contents.contest.everyone}
    artefacts = contents.by_name()
    manifests = {name: artefact.manifest for name, artefact in artefacts.items()}
    libraries = [library for manifest in manifests.values() for library in manifest["libraries"].items()]
    return {
        "recipe_name": contents.recipe_name,
        "warnings": list(dict.fromkeys([*lineage.rows.summary["warnings"], *lineage.splits.summary["warnings"]])),
        "rows": lineage.rows.summary,
        "splits": lineage.splits.summary,
        "encoded": lineage.encoded.summary,
        "shards": {**lineage.shards.summary, **read_json(lineage.shards, "shards.json")},
        "models": [{**one.model.summary, **scores[one.name]} for one in contents.contest.everyone],
        "best": scores[best.name],
        "advantage": compare_with_baseline(contents.contest),
        "protocol": best.evaluation.manifest["config"],
        "mistakes": read_mistakes(best.evaluation),
        "registered_on": manifests["registered"]["created"].partition("T")[0],
        "registration": read_json(contents.registered, "registration.json"),
        "gate": contents.gated.summary,
        "lineage": [(name, artefact, manifests[name]) for name, artefact in artefacts.items()],
        "settings": {name: json.dumps(manifest["config"], indent=2) for name, manifest in manifests.items()},
        "libraries": dict(sorted(libraries)),
    }


def compare_with_baseline(contest: Contest) -> Interval:
    """Difference in test accuracy between the registered model and the baseline, paired by row."""
    settings = contest.best.evaluation.manifest["config"]
    best, baseline = read_correct(contest.best.model), read_correct(contest.baseline.model)
    paired = best.join(baseline, on="row", validate="1:1", suffix="_baseline").sort("row")
    difference = (paired["correct"].cast(pl.Int8) - paired["correct_baseline"].cast(pl.Int8)).to_numpy()
    return mean_with_interval(
        difference, resamples=settings["resamples"], confidence=settings["confidence"], seed=settings["seed"]
    )


def read_correct(model: Artefact) -> pl.DataFrame:
    """Tell for each test row whether the model is right: columns row, correct."""
    predictions = pl.scan_parquet(model.file("predictions.parquet")).filter(split="test")
    return predictions.select("row", correct=pl.col("logits").list.arg_max() == pl.col("target")).collect()


def read_mistakes(evaluation: Artefact) -> list[dict]:
    """Read the table of mistakes, with white space folded for the page."""
    text = pl.col("text").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.read_parquet(evaluation.file("mistakes.parquet")).with_columns(text).to_dicts()


def read_json(artefact: Artefact, name: str) -> dict:
    """Read one JSON file of an artefact."""
    return json.loads(artefact.file(name).read_bytes())


def draw_figures(facts: dict, contents: ReportContents) -> dict[str, "Figure"]:
    """Draw the figures of the page, by name."""
    best, models = facts["best"], facts["models"]
    accuracies = {
        model["name"]: {split: model["metrics"][split]["accuracy"] for split in ("valid", "test")} for model in models
    }
    candidates = {one.name: one.model for one in contents.contest.candidates}
    histories = {name: read_json(model, "history.json") for name, model in candidates.items()}
    best_epochs = {name: model.summary["best_epoch"] for name, model in candidates.items()}
    return {
        "comparison": plots.draw_comparison(accuracies, facts["protocol"]["confidence"]),
        "losses": plots.draw_loss_curves(histories, best_epochs),
        "calibration": plots.draw_calibration(
            best["calibration"]["before"], best["calibration"]["after"], best["temperature"]
        ),
        "confusion": plots.draw_confusion(best["confusion"], best["labels"]),
        "slices": plots.draw_slices(best["slices"], best["metrics"]["test"]["accuracy"]["value"]),
        "lengths": plots.draw_lengths(facts["shards"]["lengths"], facts["shards"]["widths"]),
    }


def write_report(folder: Path, contents: ReportContents) -> dict:
    """Fill the artefact's folder: `report.html`, and each of its figures as a PNG file."""
    facts = gather_facts(contents)
    images = {}
    for name, figure in draw_figures(facts, contents).items():
        png = plots.write_png(figure, folder / f"{name}.png").read_bytes()
        images[name] = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    (folder / "report.html").write_text(render_page(facts, images), encoding="utf-8")
    emit(Progress("report", done=1, total=1, unit="pages", finished=True))
    return {"rows": len(facts["models"])}


def render_page(facts: dict, images: dict[str, str]) -> str:
    """Fill the template with what `gather_facts` found and the figures as data URIs."""
    return load_templates().get_template(TEMPLATE).render(facts, images=images)


def load_templates() -> "Environment":
    """Prepare Jinja so that every value is escaped and an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=spell_out,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": "{:.2%}".format,
        "points": lambda share: f"{100 * share:+.2f}".replace("-", "\N{MINUS SIGN}"),
        "thousands": "{:,}".format,
        "figure": show_figure,
        "as_shares": lambda interval: {bound: f"{share:.2%}" for bound, share in interval.items()},
        "as_decimals": lambda interval: {bound: f"{number:.4f}" for bound, number in interval.items()},
    }
    return environment


def show_figure(value: object) -> object:
    """Show a truth value as a word and a fraction in two digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, float) else value


def spell_out(value: object) -> object:
    """Spell out a text's control and bidirectional characters, line by line; markup stays as it is."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "\n".join(printable(line) for line in value.split("\n"))


@task(name="report", cache_policy=NO_CACHE, persist_result=False)
def report(contents: ReportContents) -> Artefact:
    """Write the report of one run."""
    artefacts = contents.by_name()
    # The page also shows keys and times, which the digests of the inputs do not cover.
    built = {name: [artefact.key, artefact.manifest["created"]] for name, artefact in artefacts.items()}
    config = {"recipe_name": contents.recipe_name, "built": built}
    write = partial(write_report, contents=contents)
    return store.build("report", write, module=__name__, config=config, inputs=artefacts)
