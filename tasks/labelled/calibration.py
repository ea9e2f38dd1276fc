"""Logits to probabilities, and two models' logits to one's; this module travels with every registered classifier."""

import numpy as np


def calibrated_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of logits [n, classes] over a temperature (Guo et al. 2017), in float64."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def join_logits(network: np.ndarray, linear: np.ndarray, scales: tuple[float, float]) -> np.ndarray:
    """Add the scaled logits [n, classes] of a network and of a linear model: float32."""
    of_network, of_linear = scales
    return (of_network * network.astype(np.float64) + of_linear * linear.astype(np.float64)).astype(np.float32)
