"""How a fitted classifier of lines becomes one that is served."""

from rnnflow_bits.labeller import LineLabeller
from tasks.labelled.register import LabelledRegistration

REGISTRATION = LabelledRegistration(
    labeller=LineLabeller, takes="lines of bits", EXAMPLE="lines.csv", texts=("0110", "11101"), column="bits_column"
)
