"""Is the gate honest, and does the ledger hold? Simulated and real retrains, races and kills, in tables.

python -m benchmarks.promotion --output benchmarks/results/NAME.md [--retrains 12] [--quick]
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import ROOT, describe_run, markdown_table, publish
from benchmarks.promotion_workers import INCUMBENT, content_of, quality_of
from benchmarks.real_retrains import describe_retrains
from benchmarks.simulated_retraining import Career, live_often, most_false_promotions, promoted_share
from tasks.labelled.promotion import PromotionSettings
from tasks.promotion import aliases, identities, ledger
from tasks.registry.registrations import CONTENT
from tasks.tracking import mlflow_client

YEAR = 52  # weekly retrainings
DECISIONS = (1, 4, 12, YEAR)
ACCURACY, DECAY, RETRAINS = 0.9, 0.003, 20
SETTINGS = PromotionSettings()
BY_LOSS = SETTINGS.model_copy(update={"metric": "loss", "resamples": 1000})
CARELESS = SETTINGS.model_copy(
    update={"alpha": 0.5 * YEAR, "min_effect": 0.0, "max_slice_drop": 1.0, "anchor_tolerance": 1.0}
)
EXPLANATION = """\
Simulated models have a true accuracy of 90 % and answer {rows:,} test rows; two of equal quality differ on \
{disagreement:.1%} of them. "No test" promotes whatever scores no worse on the same rows. Zero failures in N trials \
bound the rate at about 3/N with 95 % confidence."""


def percent_of(careers: Sequence[Career], *, lost: bool = False) -> str:
    """Share of careers with a promotion, or of those that ended below their start, with its counts."""
    count = sum(career.lost if lost else career.promotions > 0 for career in careers)
    return f"{100 * count / len(careers):.2f} % ({count:,} of {len(careers):,})"


def null_rows(times: int, num_rows: int) -> Iterator[list[str]]:
    """Equal challengers: one decision by accuracy, one by log loss, and a year of them on the same rows."""
    equal = [ACCURACY, ACCURACY]
    by_accuracy = list(live_often(equal, times=times, num_rows=num_rows, settings=SETTINGS))
    yield ["one equal challenger, McNemar", percent_of(by_accuracy), "at most 5 %"]
    by_loss = list(live_often(equal, times=times // 2, num_rows=num_rows, settings=BY_LOSS))
    yield ["one equal challenger, bootstrap of log loss", percent_of(by_loss), "at most 5 %"]
    years = list(live_often([ACCURACY] * (YEAR + 1), times=times // 20, num_rows=num_rows, settings=SETTINGS))
    mean = statistics.mean(career.promotions for career in years)
    bound = most_false_promotions(SETTINGS.alpha, YEAR)
    yield [f"{YEAR} equal challengers in turn: promotions", f"{mean:.3f}", f"at most {bound:.3f} on average"]


def decay_rows(times: int, num_rows: int) -> Iterator[list[str]]:
    """A decay planted in each retrain: what the last champion has lost, by the gate and without it."""
    decaying = [ACCURACY - DECAY * retrain for retrain in range(RETRAINS + 1)]
    for name, settings, repetitions in (("the gate", SETTINGS, times // 4), ("no test", CARELESS, times // 40)):
        careers = list(live_often(decaying, times=repetitions, num_rows=num_rows, settings=settings))
        losses = [100 * (career.first_accuracy - career.last_accuracy) for career in careers]
        yield [name, percent_of(careers, lost=True), f"{statistics.mean(losses):.3f}", f"{max(losses):.1f}"]
    yield ["always the newest", "100 %", f"{100 * DECAY * RETRAINS:.3f}", f"{100 * DECAY * RETRAINS:.1f}"]


def power_rows(times: int) -> Iterator[list[str]]:
    """Better challengers: how often they are promoted, early and late in the life of the rows."""
    for num_rows, repetitions in ((2_500, times), (25_000, times // 5)):
        for gain in (0.01, 0.02):
            shares = [
                promoted_share(gain, times=repetitions, num_rows=num_rows, settings=SETTINGS, number=number)
                for number in DECISIONS
            ]
            yield [f"{gain:.0%} better on {num_rows:,} rows", *(f"{share:.1%}" for share in shares)]


def race(kind: str, num_authors: int, rounds: int) -> None:
    """Let processes race for the championship of one model after another."""
    command = [sys.executable, "-m", "benchmarks.promotion_workers", "race", kind]
    racers = [
        subprocess.Popen([*command, str(author + 1), str(num_authors), str(rounds)], cwd=ROOT, env=os.environ)
        for author in range(num_authors)
    ]
    while any(racer.poll() is None for racer in racers):
        if any(racer.poll() for racer in racers):
            for racer in racers:
                racer.kill()
            raise RuntimeError("an author of a race failed")
        time.sleep(0.1)


def best_of_race(num_authors: int, round_number: int) -> str:
    """The version that ought to win a round."""
    versions = [str(author + 1) for author in range(num_authors)]
    return max(versions, key=lambda version: quality_of(version, round_number))


def race_row(num_authors: int, rounds: int) -> list[str]:
    """Race over the ledger, and count lost updates and wrong champions."""
    race("ledger", num_authors, rounds)
    wrong = lost = 0
    for round_number in range(rounds):
        entries = ledger.read_entries(f"race-{round_number}")
        wrong += entries[-1].champion != best_of_race(num_authors, round_number)
        lost += sorted(entry.actor for entry in entries) != [str(author + 1) for author in range(num_authors)]
    return [f"ledger, {num_authors} at once", f"{rounds}", f"{lost}", f"{wrong}"]


def alias_race_row(num_authors: int, rounds: int) -> list[str]:
    """Race over MLflow's alias alone, and count wrong champions."""
    client = mlflow_client.connect()
    for round_number in range(rounds):
        register_versions(f"race-{round_number}", int(INCUMBENT))
        client.set_registered_model_alias(f"race-{round_number}", "champion", INCUMBENT)
    race("alias", num_authors, rounds)
    champions = [client.get_registered_model(f"race-{number}").aliases["champion"] for number in range(rounds)]
    wrong = sum(str(champion) != best_of_race(num_authors, number) for number, champion in enumerate(champions))
    return [f"plain MLflow alias, {num_authors} at once", f"{rounds}", "-", f"{wrong}"]


def register_versions(model: str, count: int) -> None:
    """Make a registered model with empty versions."""
    mlflow_client.connect().create_registered_model(model)
    for number in range(1, count + 1):
        tags = {CONTENT: content_of(str(number))}
        mlflow_client.connect().create_model_version(model, f"mlflow-artifacts:/{model}", tags=tags)


def kill_row(kills: int) -> list[str]:
    """Kill a promotion between the ledger and the end of the aliases, and have each mended at the next start."""
    register_versions("killed", 2)
    mended = 0
    for number in range(kills):
        moment = ("append", "champion", "aliases")[number % 3]
        arguments = ["killed", str(number % 2 + 1), str(number), moment]
        command = [sys.executable, "-m", "benchmarks.promotion_workers", "kill", *arguments]
        if subprocess.run(command, cwd=ROOT, env=os.environ, check=False).returncode != -signal.SIGKILL:
            raise RuntimeError("a promotion was not killed")
        aliases.reconcile_model("killed")
        found = {alias: str(v) for alias, v in mlflow_client.connect().get_registered_model("killed").aliases.items()}
        roles = identities.roles_of(ledger.read_entries("killed")[-1])
        asked_for = {role: who.version for role, who in roles.items()}
        mended += found == asked_for and found["champion"] == arguments[1]
    lost = kills - len(ledger.read_entries("killed"))
    return ["kills between ledger and aliases", f"{kills}", f"{lost}", f"{kills - mended}"]


def ledger_rows(*, quick: bool) -> Iterator[list[str]]:
    """Races and kills, each in a project of its own."""
    small = 10 if quick else 1
    for row in (
        lambda: race_row(2, 200 // small),
        lambda: race_row(8, 50 // small),
        lambda: alias_race_row(2, 30 // small),
        lambda: kill_row(50 // small),
    ):
        with tempfile.TemporaryDirectory() as home:
            os.environ["RNNFLOW_HOME"] = home
            yield row()


def shown(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Pass rows on, and show each as soon as it is known."""
    for row in rows:
        print(*row, sep=" | ", file=sys.stderr, flush=True)
        yield row


def main() -> None:
    """Simulate, race, kill, train, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rows", type=int, default=2_500, help="test rows of a simulated model")
    parser.add_argument("--times", type=int, default=4_000, help="simulated challengers")
    parser.add_argument("--retrains", type=int, default=0, help="real fits that differ in their seed; 0 for none")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = parser.parse_args()
    times = options.times // 10 if options.quick else options.times
    sample = list(live_often([ACCURACY] * 2, times=50, num_rows=options.rows, settings=SETTINGS))
    disagreement = statistics.mean(career.disagreement for career in sample)
    tables = {
        "Equal models": (["challengers", "promoted", "bound"], null_rows(times, options.rows)),
        f"Decay of {100 * DECAY:g} points in each of {RETRAINS} retrains": (
            ["who decides", "ended truly worse", "mean loss (points)", "worst"],
            decay_rows(times, options.rows),
        ),
        "Better models: share promoted": (
            ["challenger", *(f"decision {number}" for number in DECISIONS)],
            power_rows(times // 4),
        ),
        "Races and kills": (["what", "times", "lost updates", "wrong champions"], ledger_rows(quick=options.quick)),
    }
    sections = {title: markdown_table(header, list(shown(rows))) for title, (header, rows) in tables.items()}
    if options.retrains:
        sections["Real retrains with other seeds"] = describe_retrains(options.retrains)
    parts = ["# Promotion", describe_run(["numpy", "scipy", "sqlalchemy", "mlflow"])]
    parts.append(EXPLANATION.format(rows=options.rows, disagreement=disagreement))
    publish("\n\n".join([*parts, *(f"## {title}\n\n{text}" for title, text in sections.items())]), options.output)


if __name__ == "__main__":
    main()
