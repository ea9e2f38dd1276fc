"""Work that ends at a step of its own choice, as a process that is killed there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnmodels import durable
from tasks.prediction import tables, tables_of_numbers, unfinished
from tasks.progress import Progress

__all__ = ["Crash", "count_steps", "interrupted_after"]


class Crash(BaseException):
    """The process ends here: nothing after this line happens, nothing before it is undone."""


def count_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the n-th step of a prediction that leaves a trace on disk end the work instead; returns what sets n."""
    steps = [0, 0]

    def counted(step: Callable) -> Callable:
        def take(*arguments: object, **options: object) -> object:
            steps[0] += 1
            if steps[0] == steps[1]:
                raise Crash
            return step(*arguments, **options)

        return take

    for place, name in [
        (durable, "sync"), (tables, "sync"), (tables_of_numbers, "sync"), (unfinished, "write_durably"),
        (unfinished.shutil, "rmtree"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir"),
    ]:  # fmt: skip
        monkeypatch.setattr(place, name, counted(getattr(place, name)))

    def arm(number: int) -> None:
        steps[:] = [0, number]

    return arm


def interrupted_after(num_windows: int) -> Callable[[Progress], None]:
    """A listener that ends the work once so many windows are kept, as Ctrl-C would."""
    kept = [0]

    def listen(event: Progress) -> None:
        kept[0] += event.stage == "predict" and "rows_per_s" in event.figures
        if kept[0] == num_windows:
            raise KeyboardInterrupt

    return listen
