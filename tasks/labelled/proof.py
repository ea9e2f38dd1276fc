"""Proof that a registered classifier answers as it was evaluated, within what rounding explains."""

import numpy as np

from tasks.errors import IntegrityError
from tasks.labelled.calibration import calibrated_probabilities

# Other batch-mates, other thread counts and other devices round differently; relative to max(1, |logit|).
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-3}


def tolerance_on(device: str) -> float:
    """Largest difference that rounding explains on the device the evaluated logits come from."""
    return TOLERANCE[device.partition(":")[0]]


def prove_answers(
    logits: np.ndarray, probabilities: np.ndarray, expected: np.ndarray, *, temperature: float, tolerance: float
) -> dict:
    """Compare served logits and probabilities [n, classes] with the evaluated logits; returns the figures.

    Raises IntegrityError (E-REG-006) where they differ more than the tolerance.
    """
    deviations = {
        "logits": largest_deviation(logits, expected),
        "probabilities": largest_deviation(probabilities, calibrated_probabilities(expected, temperature)),
    }
    for what, deviation in deviations.items():
        _refuse_deviation(what, deviation, tolerance)
    bitwise = bool(np.array_equal(logits, expected))
    return {"rows": len(expected), "bitwise": bitwise, "tolerance": tolerance, "deviations": deviations}


def largest_deviation(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest |difference| / max(1, |expected|)."""
    return float(np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected)), initial=0.0))


def _refuse_deviation(what: str, deviation: float, tolerance: float) -> None:
    if not deviation <= tolerance:
        raise IntegrityError(
            "E-REG-006",
            f"the registered model's {what} differ from the evaluated ones by {deviation:.3g}, "
            f"more than {tolerance:g}.",
            fix="run again with --refresh; if it persists, what is served is not what was evaluated.",
        )
