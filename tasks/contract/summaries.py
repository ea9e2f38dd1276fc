"""What the flow and the stages read of one another's summaries, whatever the kind; a kind adds fields of its own."""

from tasks.store.manifest import Summary


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


class FittedSummary(ModelSummary):
    """A candidate; what its kind's `finish_model` returned stands with these."""

    best_epoch: int
    num_parameters: int
    device: str
