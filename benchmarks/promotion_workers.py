"""Processes of the benchmark `promotion`: authors that race for a championship, and one that is killed in the middle.

python -m benchmarks.promotion_workers race ledger|alias AUTHOR NUM_AUTHORS ROUNDS
python -m benchmarks.promotion_workers kill MODEL VERSION EXPECTED append|champion|aliases
"""

import os
import random
import signal
import sys
import time

from tasks.promotion import aliases, ledger
from tasks.promotion.ledger import ChampionChanged, Draft
from tasks.tracking import mlflow_client

WINDOW_S = 0.02  # between reading the champion and replacing it, at most
INCUMBENT = "9"  # the champion of a race over the alias before anybody came, worse than all


def quality_of(version: str, round_number: int) -> int:
    """What a version is worth in a round; no two are worth the same."""
    order = [str(author) for author in range(1, 9)]
    random.Random(round_number).shuffle(order)
    return -1 if version == INCUMBENT else order.index(version)


def content_of(version: str) -> str:
    """What a version is told by, which is all that these have."""
    return f"content-{version}"


def race_by_ledger(version: str, round_number: int) -> None:
    """Judge against the champion and append the verdict; judge again if somebody was faster."""
    model = f"race-{round_number}"
    while True:
        entries = ledger.read_entries(model)
        champion = entries[-1].champion if entries else ""
        better = not champion or quality_of(version, round_number) > quality_of(champion, round_number)
        time.sleep(random.uniform(0, WINDOW_S))
        draft = Draft(
            model=model,
            action="promoted" if better else "kept",
            champion=version if better else champion,
            challenger=version,
            reason="race",
            actor=version,
        )
        try:
            ledger.append(draft, expected=len(entries))
        except ChampionChanged:
            continue
        return


def wait_for_ledger(num_authors: int, round_number: int) -> None:
    """Return when every author has had its say."""
    while len(ledger.read_entries(f"race-{round_number}")) < num_authors:
        time.sleep(0.001)


def race_by_alias(version: str, round_number: int) -> None:
    """Judge against the champion and move the alias, as one would without a ledger; then say so in a tag."""
    client, model = mlflow_client.connect(), f"race-{round_number}"
    champion = str(client.get_registered_model(model).aliases["champion"])
    time.sleep(random.uniform(0, WINDOW_S))
    if quality_of(version, round_number) > quality_of(champion, round_number):
        client.set_registered_model_alias(model, "champion", version)
    client.set_registered_model_tag(model, f"done-{version}", "yes")


def wait_for_tags(num_authors: int, round_number: int) -> None:
    """Return when every author has said that it is done."""
    while len(mlflow_client.connect().get_registered_model(f"race-{round_number}").tags) < num_authors:
        time.sleep(0.005)


def die(*_: object) -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_promotion(model: str, version: str, expected: str, moment: str) -> None:
    """Promote a version, and die right after a moment: the append, the champion's alias, or all aliases."""
    before = ledger.head(model)
    draft = Draft(
        model=model,
        action="promote",
        champion=version,
        champion_content=content_of(version),
        previous=before.champion if before else "",
        previous_content=before.champion_content if before else "",
        challenger=version,
        challenger_content=content_of(version),
        reason="killed",
        actor="benchmark",
    )
    ledger.append(draft, expected=int(expected))
    if moment == "append":
        die()
    following = {"champion": (mlflow_client.connect(), "set_registered_model_alias"), "aliases": (aliases, "_write")}
    module, deed = following[moment]
    first = getattr(module, deed)

    def last_deed(*arguments: object) -> None:
        first(*arguments)
        die()

    setattr(module, deed, last_deed)
    aliases.project(model)


def main() -> None:
    """Do what the arguments say."""
    task, *arguments = sys.argv[1:]
    if task == "kill":
        killed_promotion(*arguments)
        return
    race, wait = {"ledger": (race_by_ledger, wait_for_ledger), "alias": (race_by_alias, wait_for_tags)}[arguments[0]]
    version, num_authors, rounds = arguments[1], int(arguments[2]), int(arguments[3])
    for round_number in range(rounds):
        race(version, round_number)
        wait(num_authors, round_number)


if __name__ == "__main__":
    main()
