"""A certificate that a model's logits depend on nothing but the sequence itself.

The same sequences are scored under variations that must not matter: padding, batch-mates, batch size and, of recurrent
layers, packing.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnmodels.classifiers.batches import Batch, Steps
from rnnmodels.classifiers.classifier import AnyClassifier
from rnnmodels.classifiers.inference import pad_sequences, score_batch
from rnnmodels.classifiers.packed import packed_twin
from rnnmodels.deviation import Certificate, largest_deviation
from rnnmodels.training.evaluation import evaluating

TOLERANCE = 1e-5
EXTRA_STEPS = 37
BUCKET_STEP = 64

Sequences = Sequence[Steps]
Logits = NDArray[np.float32]


def certify_invariance(model: AnyClassifier, sequences: Sequences, *, seed: int = 0) -> Certificate:
    """Score each sequence alone, then under each variation, and compare; `seed` draws the random steps."""
    if not sequences:
        raise ValueError("got no sequences, expected at least one to certify with")
    generator = np.random.default_rng(seed)
    together = pad_sequences(sequences)
    batches = {
        "batch_size": [together],
        "batch_mates": [_with_random_mates(sequences, model, generator)],
        "padding_content": [_with_random_padding(together, model, generator)],
        "padding_length": [_alone(sequence, len(sequence) + EXTRA_STEPS) for sequence in sequences],
        "bucket_width": [_alone(sequence, -(-len(sequence) // BUCKET_STEP) * BUCKET_STEP) for sequence in sequences],
    }
    with evaluating(model):
        alone = _score(model, [_alone(sequence) for sequence in sequences])
        logits = {name: _score(model, variation)[: len(sequences)] for name, variation in batches.items()}
        if model.encoder.named_cells():
            logits["packing"] = _score(packed_twin(model), [together])
    deviations = {name: largest_deviation(varied, alone) for name, varied in logits.items()}
    return Certificate.of(deviations, tolerance=TOLERANCE, num_sequences=len(sequences))


def _alone(sequence: Steps, width: int = 0) -> Batch:
    return pad_sequences([sequence], width=width)


def _with_random_mates(sequences: Sequences, model: AnyClassifier, generator: np.random.Generator) -> Batch:
    """Follow the sequences by as many random ones, the first of them longer than any."""
    lengths = [len(sequence) for sequence in sequences]
    lengths[0] = max(lengths) + 1
    mates = [model.draw_steps((length,), generator) for length in lengths]
    return pad_sequences([*sequences, *mates])


def _with_random_padding(batch: Batch, model: AnyClassifier, generator: np.random.Generator) -> Batch:
    shape = batch.steps.shape[:2]
    is_padding = np.arange(shape[1]) >= batch.length[:, None]
    is_padding = is_padding.reshape(*shape, *[1] * (batch.steps.ndim - 2))
    return dataclasses.replace(batch, steps=np.where(is_padding, model.draw_steps(shape, generator), batch.steps))


def _score(model: AnyClassifier, batches: Sequence[Batch]) -> Logits:
    return np.concatenate([score_batch(model, batch) for batch in batches])
