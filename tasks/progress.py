"""Progress of stages, told to whoever listens: the terminal, the Prefect dashboard, MLflow.

Stages emit events and know no listener, so that how a run is shown never changes what it computes.
"""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """One step of a stage: `done` of `total` units, with the numbers to show next to it.

    `label` tells runs of one stage apart (the candidate's name in `fit`); `figures` holds numbers
    such as `train_loss` or `rows_per_s`; `epoch` is the number of the one that the event closes.
    """

    stage: str
    label: str = ""
    done: float = 0
    total: float | None = None
    unit: str = "rows"
    figures: dict[str, float] = field(default_factory=dict)
    epoch: int | None = None
    finished: bool = False
    note: str = ""


Listener = Callable[[Progress], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


def emit(event: Progress) -> None:
    """Tell every listener; one that fails is reported and never stops the work it watches."""
    for listener in _listeners.get():
        try:
            listener(event)
        except Exception:
            logger.warning("A progress listener failed on %s", event, exc_info=True)


@contextmanager
def listening(*listeners: Listener) -> Generator[None]:
    """Add listeners for the duration of a block."""
    token = _listeners.set((*_listeners.get(), *listeners))
    try:
        yield
    finally:
        _listeners.reset(token)
