"""The encoder that an architecture asks for."""

from rnnmodels.config import RecurrentArchitecture, TransformerArchitecture
from rnnmodels.layers.attention import TransformerEncoder
from rnnmodels.layers.cells import RecurrentEncoder


def build_encoder(architecture: RecurrentArchitecture, input_size: int) -> RecurrentEncoder | TransformerEncoder:
    """Recurrent layers, or a transformer in their place."""
    if isinstance(architecture, TransformerArchitecture) and architecture.cell == "transformer":
        return TransformerEncoder(architecture, input_size)
    return RecurrentEncoder(architecture, input_size)
