"""Under which name a model is registered, whatever it answers."""

from pydantic import Field

from rnnmodels.config import Settings
from tasks.store.names import NAME_PATTERN


class RegistrySettings(Settings):
    """Under which name the best candidate is registered, and how closely it is examined."""

    model_name: str | None = Field(None, pattern=NAME_PATTERN, description="Name; by default the recipe's.")
    certificate_rows: int = Field(256, ge=1, le=100_000, description="Validation rows of the invariance certificate.")
