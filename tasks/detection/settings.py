"""What a detector of anomalies can be told."""

from pydantic import Field

from rnnmodels.config import Settings


class LikelihoodSettings(Settings):
    """How surprising a row is beside those before it; the defaults are those of Numenta's published detectors."""

    long_run_rows: int = Field(8640, ge=100, le=1_000_000, description="Last rows that a row is compared with.")
    short_run_rows: int = Field(10, ge=1, le=10_000, description="Last rows whose mean level is judged as well.")
    decade_beyond_record: float = Field(
        0.05, gt=0, le=10, description="Share by which a size exceeds all before it to be ten times as surprising."
    )


class EventSettings(Settings):
    """From which surprise on rows are anomalous, and which of them are one event; no labels are needed."""

    tail_probability: float = Field(
        1e-5, gt=0, lt=0.5, description="Probability of as much surprise by chance, were the evidence independent."
    )
    gap_share: float = Field(
        0.1, ge=0, le=1, description="Anomalous rows are one event up to this share of the warm-up rows apart."
    )

    def gap_rows(self, warm_up_rows: int) -> int:
        """Rows up to which two anomalous rows of one event are apart: neighbours always belong together."""
        return max(1, int(self.gap_share * warm_up_rows))


class DetectorSettings(Settings):
    """How a detector turns residuals into events."""

    likelihood: LikelihoodSettings = Field(LikelihoodSettings(), description="How surprising a row is.")
    events: EventSettings = Field(EventSettings(), description="Which rows are anomalous, and which belong together.")
