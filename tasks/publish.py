"""Stage `publish`: the report into MLflow, the results into Prefect's dashboard, and a way from each to the other."""

import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.contest import Contest
from tasks.contract.delivery import PageSummary, RegistrationSummary, VerdictSummary
from tasks.contract.evaluation import EvaluationSummary
from tasks.contract.kind import Kind
from tasks.contract.presentation import Presentation
from tasks.contract.summaries import FittedSummary
from tasks.errors import printable
from tasks.reporting.findings import SHOWN
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.tracking import dashboard, mlflow_client, recording

REPORT_FOLDER = "report"


def results_table(contest: Contest, presentation: Presentation) -> list[dict[str, str]]:
    """A line per model, the candidates first: the headline metrics on validation and test, with intervals."""
    table = []
    for scored in contest.everyone:
        metrics = EvaluationSummary.of(scored.evaluation).metrics
        shown = {f"{split} {one.title}": one.show(metrics[split]) for split in metrics for one in presentation.headline}
        table.append({"model": scored.name, **shown})
    return table


def memory_table(contest: Contest) -> list[dict[str, str]]:
    """A line per candidate and recurrent cell: how far back it remembers, and the share of clipped updates."""
    fitted = [(one.name, FittedSummary.of(one.model)) for one in contest.candidates]
    return [
        {
            "model": name,
            "cell": cell,
            "effective horizon, steps": f"{steps:,} of {summary.memory_span:,}",
            "clipped updates, %": f"{100 * summary.clipped_share:.1f}",
        }
        for name, summary in fitted
        for cell, steps in summary.memory_horizon.items()
    ]


def describe_registration(registration: RegistrationSummary, alias: str, beaten: str) -> str:
    """Say in Markdown what was registered, and plainly if the baseline is better."""
    sentence = (
        f"**{registration.best}** was registered as `{registration.name}` version {registration.version}, "
        f"alias `{alias}`."
    )
    return sentence + (f" A baseline {beaten}" if registration.baseline_wins else "")


def describe_verdict(gate: VerdictSummary) -> str:
    """The gate's verdict in Markdown, a paragraph per reason; the first names the verdict."""
    return "\n\n".join(gate.reasons)


def summarize(
    rows: Sequence[dict[str, str]], beaten: str, registration: RegistrationSummary, gate: VerdictSummary, page: Artefact
) -> str:
    """Sum a run up in Markdown: problems, what was registered, a line per model, warnings, where the report is."""
    table = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0]), *(" | ".join(row.values()) for row in rows)]
    report = f"The report with all plots: `{page.path / 'report.html'}`, and among the artifacts of the MLflow run."
    shown = PageSummary.of(page)
    found = {name: [as_markdown(sentence) for sentence in getattr(shown, name)] for name in SHOWN}
    paragraphs = [
        *(f"**{problem}**" for problem in found["problems"]),
        " ".join([describe_registration(registration, gate.alias, beaten), *found["outdone"]]),
        "\n".join(f"| {line} |" for line in table),
        "\n".join(f"- {warning}" for warning in found["warnings"]),
        report,
    ]
    return "\n\n".join(filter(None, paragraphs))


def as_markdown(sentence: str) -> str:
    """A sentence with words of the data in it, such that none of them is markup."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", printable(sentence))


def send_report(folder: Path, *, page: Artefact, mlflow_run: str) -> Summary:
    """Copy the page and its plots into the MLflow run, and note that it was done.

    Raises ServiceError (E-SVC-004).
    """
    files = [page.file(name) for name in page.manifest["files"]]
    recording.record_files(mlflow_run, files, REPORT_FOLDER)
    (folder / "published.json").write_text(json.dumps({"mlflow_run": mlflow_run}), encoding="utf-8")
    return Summary(rows=len(files))


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish(kind: Kind, page: Artefact, registered: Artefact, gated: Artefact, contest: Contest) -> Artefact:
    """Show the results of a run where people look for them."""
    registration, gate = RegistrationSummary.of(registered), VerdictSummary.of(gated)
    presentation = kind.report.load().PRESENTATION
    rows = results_table(contest, presentation)
    dashboard.show_results(
        rows,
        memory=memory_table(contest),
        summary=summarize(rows, presentation.beaten, registration, gate, page),
        verdict=describe_verdict(gate),
        mlflow_run=registration.mlflow_run,
        mlflow_page=registration.mlflow_page,
    )
    write = partial(send_report, page=page, mlflow_run=registration.mlflow_run)
    config = {"store": mlflow_client.store_name()}
    return artefacts.build(
        "publish", write, module=__name__, config=config, inputs={"page": page, "registered": registered}
    )
