"""What the flow and the stages read of one another's summaries, whatever the kind; a kind adds fields of its own."""

from pydantic import Field

from tasks.store.manifest import Summary

MEMORY_FILE = "memory.json"  # of a fitted candidate: the curve of each recurrent cell


class SplitSummary(Summary):
    """Rows by split; the stage adds for which `kind` of problem they were divided."""

    splits: dict[str, int]
    kind: str = ""


class NamedSummary(Summary):
    """What belongs to a model of this name."""

    name: str


class ModelSummary(NamedSummary):
    """A candidate or a baseline, and the seconds that fitting it took; one that was `left_out` has nothing else."""

    train_s: float
    left_out: bool = False


class InitialSummary(Summary):
    """What fits start from, in words: `start` goes on after "starts from"."""

    start: str


class FittedSummary(ModelSummary):
    """A candidate; what its kind's `finish_model` returned stands with these.

    start: what it started from, in words; empty for random weights.
    clipped_share: share of all updates whose gradient was clipped. memory_horizon: the effective horizon of each
    recurrent cell, in time steps, of the `memory_span` over which it was measured; nothing of other networks.
    """

    best_epoch: int
    num_parameters: int
    device: str
    start: str = ""
    clipped_share: float
    memory_horizon: dict[str, int] = Field(default_factory=dict)
    memory_span: int = 0
