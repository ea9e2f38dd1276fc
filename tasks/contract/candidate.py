"""A model to train: what the candidates of all kinds have in common."""

from pydantic import Field

from rnnmodels.config import Optimization, RecurrentArchitecture, Settings
from tasks.store.names import NAME_PATTERN


class Candidate(Settings):
    """A model to train, and how; a kind says which network and which training."""

    name: str = Field(pattern=NAME_PATTERN, description="Name in tables, plots and MLflow.")
    model: RecurrentArchitecture
    training: Optimization
