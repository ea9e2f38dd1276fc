"""Fixtures of the command line."""

import pytest

from flows.outcome import Outcome


@pytest.fixture
def outcome() -> Outcome:
    """A run of two candidates, of which the GRU is better than the LSTM and than the baseline."""
    return Outcome(
        recipe="reviews",
        kind="classify",
        flow_run="0b9c",
        mlflow_run="77aa",
        wall_s=432.1,
        stages=[
            {"name": "ingest", "key": "a1", "cached": True, "wall_s": 0.1},
            {"name": "fit gru", "key": "b2", "cached": False, "wall_s": 134.2},
        ],
        candidates=[scored("lstm", 0.8712, 61.0), scored("gru", 0.8911, 134.2)],
        baselines=[scored("tfidf-logistic", 0.8810, 31.4)],
        best="gru",
        best_baseline="tfidf-logistic",
        baseline_wins=False,
        registered={"name": "reviews", "version": "3", "alias": "champion"},
        gate={"verdict": "first", "reasons": ["First model."]},
        report="data/report/c3/report.html",
        example="data/register/d4/texts.txt",
    )


def scored(name: str, accuracy: float, train_s: float) -> dict:
    """What an outcome says of a model."""
    return {
        "name": name,
        "metrics": {
            "valid": {"accuracy": {"value": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01}},
            "test": {
                "accuracy": {"value": accuracy - 0.002, "low": accuracy - 0.007, "high": accuracy + 0.003},
                "loss": {"value": 0.271, "low": 0.26, "high": 0.28},
            },
        },
        "train_s": train_s,
    }
