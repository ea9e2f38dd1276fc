"""Stage `report`: one HTML page that says what was run, what came out and how far to trust it.

The page stands alone: images are inlined, nothing is fetched, no script runs. Texts and names from the data are
escaped as HTML, and their control and bidirectional characters are spelled out.
"""

import base64
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.delivery import PageSummary
from tasks.contract.kind import Kind
from tasks.contract.presentation import keep_measured
from tasks.contract.report_contents import ReportContents, read_json
from tasks.contract.summaries import MEMORY_FILE, FittedSummary
from tasks.errors import printable
from tasks.progress import Progress, emit
from tasks.reporting import plots
from tasks.reporting.findings import SHOWN, describe_outdone, gather_findings
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

    from tasks.contract.stages import ReportModule


def gather_facts(contents: ReportContents, presenting: "ReportModule") -> dict:
    """Collect what the page shows from manifests and files; nothing else is asked."""
    lineage, contest = contents.lineage, contents.contest
    findings = gather_findings(lineage, contest, contents.registered, contents.gated)
    scores = {one.name: read_json(one.evaluation, "metrics.json") for one in contest.everyone}
    told = {one.name: {**one.model.summary, **scores[one.name]} for one in contest.everyone}
    by_name = contents.by_name()
    manifests = {name: artefact.manifest for name, artefact in by_name.items()}
    libraries = [library for manifest in manifests.values() for library in manifest["libraries"].items()]
    return {
        "recipe_name": contents.recipe_name,
        "problems": findings.problems,
        "warnings": findings.warnings,
        "rows": lineage.rows.summary,
        "splits": lineage.splits.summary,
        "encoded": lineage.encoded.summary,
        "models": list(told.values()),
        "candidates": [told[one.name] for one in contest.candidates],
        "baselines": [told[one.name] for one in contest.baselines],
        "baseline": told[contest.baseline.name] if contest.baseline else None,
        "best": scores[contest.best.name],
        "advantage": presenting.compare_with_baseline(contest, contest.baseline) if contest.baseline else None,
        "outdone": describe_outdone(contest, presenting),
        "protocol": contest.best.evaluation.manifest["config"],
        "result_columns": {
            split: keep_measured(presenting.PRESENTATION.columns, [one["metrics"][split] for one in scores.values()])
            for split in ("valid", "test")
        },
        "registered_on": manifests["registered"]["created"].partition("T")[0],
        "registration": read_json(contents.registered, "registration.json"),
        "gate": contents.gated.summary,
        "lineage": [(name, artefact, manifests[name]) for name, artefact in by_name.items()],
        "settings": {name: json.dumps(manifest["config"], indent=2) for name, manifest in manifests.items()},
        "libraries": dict(sorted(libraries)),
        **presenting.gather_details(contents),
    }


def draw_losses(contents: ReportContents) -> "Figure":
    """Draw the loss curves of every candidate."""
    candidates = {one.name: one.model for one in contents.contest.candidates}
    found = {name: json.loads(model.file("history.json").read_bytes()) for name, model in candidates.items()}
    histories = {name: epochs for name, epochs in found.items() if epochs}  # a join has none
    best_epochs = {name: FittedSummary.of(candidates[name]).best_epoch for name in histories}
    return plots.draw_loss_curves(histories, best_epochs)


def draw_memory(contents: ReportContents) -> "dict[str, Figure]":
    """Draw how far back the candidates remember; no figure where none has recurrent cells."""
    measured = [one for one in contents.contest.candidates if MEMORY_FILE in one.model.manifest["files"]]
    curves = {one.name: read_json(one.model, MEMORY_FILE) for one in measured}
    return {"memory": plots.draw_memory(curves)} if any(curves.values()) else {}


def write_report(folder: Path, contents: ReportContents, presenting: "ReportModule") -> PageSummary:
    """Fill the artefact's folder: `report.html`, and each of its plots as a PNG file."""
    facts = gather_facts(contents, presenting)
    images = {}
    shared = {"losses": draw_losses(contents), **draw_memory(contents)}
    for name, figure in {**shared, **presenting.draw_figures(facts)}.items():
        png = plots.write_png(figure, folder / f"{name}.png").read_bytes()
        images[name] = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    page = render_page(presenting.PRESENTATION.template, facts, images)
    (folder / "report.html").write_text(page, encoding="utf-8")
    emit(Progress("report", done=1, total=1, unit="page", finished=True))
    return PageSummary(rows=len(facts["models"]), **{name: facts[name] for name in SHOWN})


def render_page(template: Path, facts: dict, images: dict[str, str]) -> str:
    """Fill a template with what `gather_facts` found and the plots as data URIs."""
    return load_templates().from_string(template.read_text(encoding="utf-8")).render(facts, images=images)


def load_templates() -> "Environment":
    """Prepare Jinja so that every value is escaped and an unknown name is an error.

    A kind's template, wherever it lies, extends ours by their place below this folder.
    """
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
        "as_decimals": lambda interval, digits=4: {b: f"{number:.{digits}f}" for b, number in interval.items()},
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
def report(kind: Kind, contents: ReportContents) -> Artefact:
    """Write the report of one run."""
    by_name = contents.by_name()
    # The page also shows keys and times, which the digests of the inputs do not cover.
    built = {name: [artefact.key, artefact.manifest["created"]] for name, artefact in by_name.items()}
    config = {"recipe_name": contents.recipe_name, "built": built}
    write = partial(write_report, contents=contents, presenting=kind.report.load())
    return artefacts.build("report", write, module=(__name__, kind.report.name), config=config, inputs=by_name)
