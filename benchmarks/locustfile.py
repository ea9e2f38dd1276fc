"""What each simulated client does, for `locust`: send one text, wait for its answer, keep to its share of the rate.

The environment says whom they ask (BENCH_PROTOCOL), what (BENCH_TEXTS, a CSV file) and how often (BENCH_RATE, requests
per second of one client; 0 is as fast as answers come).
"""

import csv
import os
import random
from pathlib import Path

from locust import HttpUser, constant_throughput, task

with Path(os.environ["BENCH_TEXTS"]).open(newline="") as file:
    TEXTS = [row["text"] for row in csv.DictReader(file)]
RATE = float(os.environ["BENCH_RATE"])
QUESTIONS = {
    "rnnflow": ("/v1/predict", lambda text: {"texts": [text]}),
    "mlflow": ("/invocations", lambda text: {"inputs": [text]}),
}
PATH, QUESTION = QUESTIONS[os.environ["BENCH_PROTOCOL"]]


class Client(HttpUser):
    """One client with a connection of its own."""

    if RATE:
        wait_time = constant_throughput(RATE)

    @task
    def classify(self) -> None:
        """Ask about a random text; a status beyond 399 counts as a failure."""
        self.client.post(PATH, json=QUESTION(random.choice(TEXTS)))
