"""Training killed with SIGKILL at random instants and resumed ends with the weights of an undisturbed run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.costly

# One process imports torch and forks the runs that are killed, so that a kill costs milliseconds.
KILLER = """
import hashlib, json, os, random, signal, sys, time
from pathlib import Path
import torch
from rnnmodels.classifiers.batches import open_shards
from rnnmodels.training.checkpoint import save_model
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.config import Architecture, Training
from rnnmodels.training.fitting import fit

torch.set_num_threads(1)
folder, files, num_kills = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]], 8

def train(name):
    shards = open_shards(files)
    model = SequenceClassifier(Architecture(hidden_size=8, embedding_size=6), vocabulary_size=30, num_classes=2)
    training = Training(epochs=8, batch_tokens=256, ema_decay=0.9, device="cpu", patience=8)
    for _ in fit(model, shards, shards, training, checkpoints=folder / name / "checkpoints", resume=True):
        pass
    save_model(model, folder / name / "model")

def run(name, lifetime_s):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train(name)
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + lifetime_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False

def digest(name):
    return hashlib.sha256((folder / name / "model" / "model.safetensors").read_bytes()).hexdigest()

train("warm-up")  # what torch imports at first use is then shared by all children
started = time.monotonic()
assert run("undisturbed", 60)
duration_s = time.monotonic() - started
chance, kills, finished, rounds = random.Random(1), 0, 0, []
while kills < num_kills:
    name = f"killed-{finished}"
    while not run(name, chance.uniform(0.1, 0.7) * duration_s):
        kills += 1
    finished += 1
    rounds.append(digest(name))
print(json.dumps({"kills": kills, "expected": digest("undisturbed"), "actual": rounds}))
"""


@pytest.mark.numeric
def test_killed_and_resumed_runs_end_bit_identical(shard_files, tmp_path: Path):
    files = [str(path) for path in shard_files("train", 300)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", KILLER, str(tmp_path), *files]
    finished = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr.decode()
    report = json.loads(finished.stdout)
    assert report["kills"] >= 8
    assert set(report["actual"]) == {report["expected"]}
