"""Progress on the terminal: bars where someone watches, plain lines where output is kept; never on stdout."""

import contextlib
import time
from collections.abc import Generator, Sequence

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from tasks.errors import printable
from tasks.progress import Progress, listening

NAME_WIDTH = 14
BAR_WIDTH = 8
COUNT_WIDTH = 19
MIB = 2**20

# The numbers worth a look while waiting: the first of these names that an event has, and how it is written.
SHOWN_FIGURES = (
    (("loss", "train_loss"), "loss {:.3f}"),
    (("valid_loss",), "valid loss {:.3f}"),
    (("valid_accuracy",), "accuracy {:.3f}"),
    (("C",), "C {:g}"),
    (("rows_per_s",), "{:,.0f} rows/s"),
)
SHORT_FIGURES = (
    (("loss", "train_loss", "valid_loss"), "loss {:.3f}"),
    (("valid_accuracy",), "acc {:.3f}"),
    (("rows_per_s",), "{:,.0f}/s"),
)


class LiveProgress:
    """A listener that draws one bar per stage and label."""

    def __init__(self, console: Console) -> None:
        self.bars = Bars(
            _text_column("{task.description}", width=NAME_WIDTH),
            BarColumn(BAR_WIDTH),
            _text_column("{task.fields[count]}", width=COUNT_WIDTH),
            _text_column("{task.fields[detail]}", ratio=1),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            expand=True,
        )
        self.task_ids: dict[str, TaskID] = {}
        self.figures: dict[str, dict[str, float]] = {}

    def __call__(self, event: Progress) -> None:
        """Draw an event."""
        name = name_of(event)
        if name not in self.task_ids:
            self._finish_all()
            self.task_ids[name] = self.bars.add_task(name, total=None, count="", detail="")
        kept = {} if event.epoch is not None else self.figures.get(name, {})
        figures = self.figures[name] = {**kept, **event.figures}
        self.bars.update(
            self.task_ids[name],
            completed=max(event.done, 1) if event.finished else event.done,
            total=max(event.done, 1) if event.finished else event.total,
            count=describe_count(event) if event.done or event.total else "",
            detail=printable(event.note) or describe_figures(figures, SHORT_FIGURES),
        )

    def _finish_all(self) -> None:
        """Close the bars of earlier stages, which say when they start and not always when they end."""
        for task in self.bars.tasks:
            if not task.finished:
                total = task.total or 1
                self.bars.update(task.id, completed=total, total=total)


class PlainProgress:
    """A listener that writes one line when a stage starts, says something, closes an epoch or ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started_s = time.monotonic()
        self.seen: set[str] = set()
        self.ended: set[str] = set()

    def __call__(self, event: Progress) -> None:
        """Write the line of an event, if it deserves one."""
        name = name_of(event)
        news = self._news(name, event)
        self.seen.add(name)
        if news:
            elapsed_s = time.monotonic() - self.started_s
            self.console.print(Text(f"{elapsed_s:7.1f} s  {name}: {news}"), soft_wrap=True)

    def _news(self, name: str, event: Progress) -> str:
        if event.epoch is not None:
            figures = describe_figures(event.figures, SHOWN_FIGURES)
            return f"epoch {event.epoch} of {event.total:g}, {figures}"
        if event.note:
            return printable(event.note)
        complete = event.unit != "epochs" and event.total is not None and event.done >= event.total
        if (event.finished or complete) and name not in self.ended:
            self.ended.add(name)
            return f"done, {describe_count(event)}"
        return "started" if name not in self.seen else ""


@contextlib.contextmanager
def showing_progress(console: Console) -> Generator[None]:
    """Show what stages report during a block, in the way that suits the terminal."""
    if not console.is_terminal:
        with listening(PlainProgress(console)):
            yield
        return
    listener = LiveProgress(console)
    with listener.bars, listening(listener):
        yield


def name_of(event: Progress) -> str:
    """The stage, and which of its runs this is."""
    return printable(f"{event.stage} {event.label}".strip())


def describe_count(event: Progress) -> str:
    """How far a stage is, in its unit: `12,000/25,000 rows`, `25,000 rows`, `1.4/3 epochs`, `8.1/80.2 MiB`."""
    values = [event.done] if event.total in (None, event.done) else [event.done, event.total]
    if event.unit == "bytes":
        return f"{'/'.join(f'{value / MIB:,.1f}' for value in values)} MiB"
    unit = event.unit.removesuffix("s") if values[-1] == 1 else event.unit
    return f"{'/'.join(_count(value) for value in values)} {unit}"


def describe_figures(figures: dict[str, float], shown: Sequence[tuple[tuple[str, ...], str]]) -> str:
    """Write the shown ones among the numbers of an event."""
    parts = []
    for names, pattern in shown:
        value = next((figures[name] for name in names if name in figures), None)
        if value is not None:
            parts.append(pattern.format(value))
    return ", ".join(parts)


def _text_column(template: str, *, width: int | None = None, ratio: int | None = None) -> TextColumn:
    column = Column(no_wrap=True, overflow="ellipsis", width=width, ratio=ratio)
    return TextColumn(template, markup=False, table_column=column)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
