"""Run as a script: the command `rnnflow` around a stand-in for the flow, which does what the recipe's name says."""

import logging
import sys
import time
import types


def make_flow(_name: str):
    from prefect import flow, task

    from flows.outcome import Outcome
    from tasks.errors import InputError
    from tasks.progress import Progress, emit

    @task
    def stage(number: int, deed: str) -> None:
        sys.stdout.write("a library prints\n")
        emit(Progress("stage", str(number), 1, 1))
        if number == 6 and deed == "warns":
            logging.getLogger("tasks.stage").warning("Odd: %s", "\x1b[31m")
        if number == 6 and deed == "fails":
            raise InputError("E-DATA-002", "got 3, expected 2.", fix="mend it.", file="a.csv", row=3)
        if number == 6 and deed == "sleeps":
            time.sleep(60)

    @flow
    def train(recipe, resume: bool = False, refresh: bool = False, warm_start: bool = False) -> Outcome:
        try:
            for number in range(12):
                stage(number, recipe.name)
        finally:
            logging.getLogger("tasks.stage").warning("Cleaned up.")
        return Outcome(
            recipe=recipe.name,
            kind=recipe.kind,
            flow_run="",
            mlflow_run="",
            wall_s=1.0,
            stages=[],
            candidates=[],
            baselines=[],
            best="",
            best_baseline="",
            baseline_wins=False,
            registered={},
            gate={},
            report="",
            example="",
        )

    return train


def attribute(name: str):
    """What the stand-in module has: libraries that look through all modules ask for more."""
    if name != "train":
        raise AttributeError(name)
    return make_flow(name)


if __name__ == "__main__":
    # Made when it is imported, because Prefect must not be imported before its server is named.
    sys.modules["flows.train"] = types.ModuleType("flows.train")
    sys.modules["flows.train"].__getattr__ = attribute
    from flows.commands.cli import main

    main()
