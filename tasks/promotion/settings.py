"""The section `[promotion]` of a recipe, as far as kinds have it in common."""

from pydantic import Field

from rnnmodels.config import Settings


class GateSettings(Settings):
    """What a challenger of any kind must show on the same test rows as the champion before it takes its place.

    Kinds say in which metric and in which units `min_effect`, `max_slice_drop` and `anchor_tolerance` are.
    """

    metric: str
    alpha: float = Field(
        0.05, gt=0, le=0.5, description="Equal models are promoted at most this often; the k-th decision gets alpha/k."
    )
    min_effect: float
    min_slice_rows: int
    max_slice_drop: float
    anchor_tolerance: float
    max_decisions: int = Field(
        50, ge=1, le=100_000, description="Decisions after which the test rows are reported as overused."
    )
