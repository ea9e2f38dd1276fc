"""What a person reads when a run has ended: the scores, what was registered, and what to try next."""

import shlex
import shutil
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.outcome import Outcome
from tasks.contract.evaluation import EvaluationSettings
from tasks.contract.presentation import keep_measured
from tasks.errors import printable
from tasks.kinds import find_kind
from tasks.reporting.findings import describe_data

MAX_WARNINGS = 8


def print_summary(outcome: Outcome, console: Console) -> None:
    """Write the summary of a run; sentences and commands may be wider than the console, to be copied whole."""
    for problem in outcome.problems:
        console.print(Text(printable(problem), style="bold red"), soft_wrap=True)
    console.print(score_table(outcome))
    if outcome.pending:
        _print_findings(outcome, console)
        console.print(Text(f"Nothing is lost; {outcome.pending}\nOnce MLflow runs: {_command('rnnflow')} sync"))
        return
    console.print(Text(verdict(outcome)), soft_wrap=True)
    _print_findings(outcome, console)
    console.print(Text(f"Report: {printable(str(_shown(Path(outcome.report))))}"), soft_wrap=True)
    console.print(Text(describe_stages(outcome), style="dim"))
    console.print(Text("\nNext:"))
    for purpose, command in next_commands(outcome).items():
        console.print(Text(f"  {purpose}", style="dim"))
        console.print(Text(f"    {printable(command)}"), soft_wrap=True)


def _print_findings(outcome: Outcome, console: Console) -> None:
    """Say which baselines are better on test, what was done to the data, and what to know of it."""
    for sentence in outcome.outdone:
        console.print(Text(printable(sentence)), soft_wrap=True)
    if outcome.data:
        console.print(Text(f"Data: {printable(describe_data(outcome.data))}."), soft_wrap=True)
    for warning in outcome.warnings[:MAX_WARNINGS]:
        console.print(Text(f"  {printable(warning)}", style="yellow"), soft_wrap=True)
    hidden = len(outcome.warnings) - MAX_WARNINGS
    if hidden > 0:
        where = "what --json prints" if outcome.pending else "the report"
        console.print(Text(f"  and {hidden} more in {where}", style="yellow"))


def score_table(outcome: Outcome) -> Table:
    """Candidates by the first metric on validation, then the baselines; the best candidate is marked."""
    kind = find_kind(outcome.kind)
    scores = [model["metrics"]["test"] for model in (*outcome.candidates, *outcome.baselines)]
    first, *others = keep_measured(kind.report.load().PRESENTATION.headline, scores)
    sign = -1 if first.metric in kind.recipe.settings_of("evaluate", EvaluationSettings).higher_is_better else 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("\nmodel", overflow="fold")
    scored = ("valid", first), ("test", first), *(("test", one) for one in others)
    for header in (*(f"{split}\n{one.title}" for split, one in scored), "\nfit"):
        table.add_column(header, justify="right", no_wrap=True)
    for models in (outcome.candidates, outcome.baselines):
        for model in sorted(models, key=lambda model: sign * model["metrics"]["valid"][first.metric]["value"]):
            is_best = model["name"] == outcome.best
            valid, test = model["metrics"]["valid"], model["metrics"]["test"]
            name = printable(model["name"]) + (" (best)" if is_best else "")
            shown = (first.show_value(valid), first.show(test), *(one.show_value(test) for one in others))
            table.add_row(name, *shown, f"{model['train_s']:,.0f} s", style="bold" if is_best else "")
    return table


def verdict(outcome: Outcome) -> str:
    """Say what was registered, and plainly if the baseline is better."""
    registered = outcome.registered
    name, version, alias = (printable(str(registered[key])) for key in ("name", "version", "alias"))
    reasons = printable(" ".join(outcome.gate["reasons"]))
    was_known = any(stage["name"] == "gate" and stage["cached"] for stage in outcome.stages)
    decided = "As decided in an earlier run: " if was_known else ""
    sentence = f"{printable(outcome.best)} was registered as {name}, version {version}, alias {alias}.\n"
    sentence += f"{decided}{reasons}"
    join = next((one for one in outcome.candidates if one["name"] == outcome.best and "joins" in one), None)
    if join is not None:
        parts = f"{printable(join['joins'])} and {join['weight']:g} times {printable(join['joined_with'])}"
        sentence += f"\nIt joins {parts}."
    if outcome.baseline_wins:
        beaten = find_kind(outcome.kind).report.load().PRESENTATION.beaten
        sentence += f"\nThe baseline {printable(outcome.best_baseline)} {beaten}"
    return sentence


def describe_stages(outcome: Outcome) -> str:
    """How long the run took and how much of it was reused."""
    num_cached = sum(stage["cached"] for stage in outcome.stages)
    return f"{len(outcome.stages)} stages in {duration(outcome.wall_s)}, {num_cached} of them reused from earlier runs."


def next_commands(outcome: Outcome) -> dict[str, str]:
    """Commands that work as they stand, by what they are good for."""
    registered, rnnflow = outcome.registered, _command("rnnflow")
    purpose, trial = find_kind(outcome.kind).report.load().PRESENTATION.trial
    return {
        purpose: trial.format(
            predict=f"{rnnflow} predict {registered['name']}/{registered['version']}",
            example=shlex.quote(str(_shown(Path(outcome.example)))),
        ),
        "see this run in Prefect's and MLflow's pages": f"{rnnflow} up",
    }


def _command(name: str) -> str:
    """How to call a command of this installation: by its name where the shell finds it, else by its path."""
    path = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    return name if found is not None and Path(found) == path else shlex.quote(str(_shown(path)))


def duration(wall_s: float) -> str:
    """Seconds in words."""
    minutes, seconds = divmod(round(wall_s), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{wall_s:.1f} s"


def _shown(path: Path) -> Path:
    """The path as one types it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
