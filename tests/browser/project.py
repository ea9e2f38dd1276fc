"""A small project and its place, brought up and taken down by the commands that a person gives."""

import csv
import json
import os
import random
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_OTHERS = ("PREFECT_API_URL", "PREFECT_UI_URL", "PREFECT_PROFILE", "MLFLOW_TRACKING_URI")

NUM_ROWS = 400
TELLING = {
    "neg": ("dull", "boring", "flat", "bad", "weak"),
    "pos": ("great", "moving", "bright", "good", "strong"),
}
RECIPE = """name = "tickets"

[source]
path = "rows.csv"

[training]
epochs = {epochs}
learning_rate = 0.01
batch_tokens = 500

[[candidates]]
name = "gru"
model = {{cell = "gru", hidden_size = 16, embedding_size = 16}}

[[candidates]]
name = "lstm"
model = {{cell = "lstm", hidden_size = 16, embedding_size = 16}}
"""
FILLERS = ("the", "film", "was", "a", "story", "of", "people", "in", "some", "town", "that", "nobody", "knew", "before")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project folder whose servers and workers run, and the addresses of its pages."""

    home: Path
    prefect: str
    mlflow: str
    environment: dict[str, str]


def choose_environment(home: Path) -> dict[str, str]:
    """The environment of commands in a project folder: two free ports, no servers of others."""
    inherited = {name: value for name, value in os.environ.items() if name not in OF_OTHERS}
    ports = {"RNNFLOW_PREFECT_PORT": str(find_free_port()), "RNNFLOW_MLFLOW_PORT": str(find_free_port())}
    return {**inherited, **ports, "RNNFLOW_HOME": str(home), "DO_NOT_TRACK": "true"}


def run_rnnflow(command: str, environment: dict[str, str]) -> dict:
    """Run a command of the place, and return what it answers."""
    words = [sys.executable, "-m", "flows.commands.cli", *command.split(), "--json"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write_recipe(path: Path, *, epochs: int, cron: str = "") -> None:
    """Write a recipe of two small models for the rows of the project; `cron` says when it is trained again."""
    schedule = f'\n[schedule]\ncron = "{cron}"\ntimezone = "Europe/Berlin"\n' if cron else ""
    path.write_text(RECIPE.format(epochs=epochs) + schedule, encoding="utf-8")


def find_free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_reviews(path: Path, *, seed: int) -> None:
    """Write short texts with telling words; one in twelve has the wrong label."""
    draw = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for row in range(NUM_ROWS):
            label, other = ("neg", "pos") if row % 2 else ("pos", "neg")
            words = draw.choices(FILLERS, k=draw.randint(4, 24)) + draw.choices(TELLING[label], k=draw.randint(1, 3))
            draw.shuffle(words)
            rows.writerow([" ".join(words), other if draw.random() < 1 / 12 else label])
