"""What a person sees while a run goes on, at 80 columns."""

import io
import time

import pytest
from rich.console import Console

from flows.commands.console import LiveProgress, PlainProgress, describe_count, showing_progress
from tasks.progress import Progress, emit

EPOCH = {"train_loss": 0.5, "valid_loss": 0.4, "valid_accuracy": 0.82, "gradient_norm": 1.2, "rows_per_s": 1904.3}

EVENTS = [
    Progress("ingest", "download", 40 * 2**20, 80 * 2**20, "bytes"),
    Progress("ingest", "download", 80 * 2**20, 80 * 2**20, "bytes"),
    Progress("ingest", done=25_000, total=50_000),
    Progress("split", note="compared 25,000 texts exactly"),
    Progress("fit", "gru", 0.5, 3, "epochs", {"loss": 0.61, "rows_per_s": 1900}),
    Progress("fit", "gru", 1, 3, "epochs", EPOCH, epoch=1),
    Progress("baseline", "tfidf-logistic", 5, 5, "fits", {"C": 3.0, "valid_loss": 0.31}),
    Progress("report", finished=True),
]


@pytest.fixture
def plain() -> Console:
    return Console(file=io.StringIO(), width=80)


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)


def without_times(text: str) -> list[str]:
    return [line[11:] for line in text.splitlines()]


def test_kept_output_has_a_line_per_start_note_epoch_and_end(plain: Console):
    with showing_progress(plain):
        for event in EVENTS:
            emit(event)

    assert without_times(plain.file.getvalue()) == [
        "ingest download: started",
        "ingest download: done, 80.0 MiB",
        "ingest: started",
        "split: compared 25,000 texts exactly",
        "fit gru: started",
        "fit gru: epoch 1 of 3, loss 0.500, valid loss 0.400, accuracy 0.820, 1,904 rows/s",
        "baseline tfidf-logistic: done, 5 fits",
        "report: done, 0 rows",
    ]


def test_kept_lines_begin_with_the_seconds_since_the_start(plain: Console):
    listener = PlainProgress(plain)
    listener.started_s = time.monotonic() - 61.25

    listener(Progress("encode"))

    assert plain.file.getvalue() in ("   61.2 s  encode: started\n", "   61.3 s  encode: started\n")


def test_bars_fit_into_80_columns(terminal: Console):
    listener = LiveProgress(terminal)
    for event in EVENTS:
        listener(event)

    terminal.print(listener.bars.get_renderable())

    assert [line.rstrip() for line in terminal.file.getvalue().splitlines()] == [
        "ingest downlo… ━━━━━━━━ 80.0 MiB                                           00:00",
        "ingest         ━━━━━━━━ 25,000/50,000 rows                                 00:00",
        "split          ━━━━━━━━                     compared 25,000 texts exactly  00:00",
        "fit gru        ━━━━━━━━ 1/3 epochs          loss 0.500, acc 0.820, 1,904/s 00:00",
        "baseline tfid… ━━━━━━━━ 5 fits              loss 0.310                     00:00",
        "report         ━━━━━━━━                                                    00:00",
    ]


def test_a_terminal_gets_bars_and_keeps_their_last_state(terminal: Console):
    with showing_progress(terminal):
        emit(Progress("shard", "train", 100, 100))

    assert "shard train" in terminal.file.getvalue()
    assert "━" in terminal.file.getvalue()


@pytest.mark.parametrize("kind", ["plain", "terminal"])
def test_names_and_notes_cannot_act_on_the_terminal(kind: str, request: pytest.FixtureRequest):
    console = request.getfixturevalue(kind)

    with showing_progress(console):
        emit(Progress("fit", "[red]x\x1b[31m", note="a\x1b[2Jb[/]"))

    assert "\x1b[31m" not in console.file.getvalue()
    assert "\x1b[2J" not in console.file.getvalue()
    assert "a\\x1b[2Jb[/]" in console.file.getvalue()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Progress("a", done=1200, total=5000), "1,200/5,000 rows"),
        (Progress("a", done=5000, total=5000), "5,000 rows"),
        (Progress("a", done=1200), "1,200 rows"),
        (Progress("a", done=1, total=1, unit="pages"), "1 page"),
        (Progress("a", done=1.4, total=3, unit="epochs"), "1.4/3 epochs"),
        (Progress("a", done=3 * 2**20, total=12.5 * 2**20, unit="bytes"), "3.0/12.5 MiB"),
    ],
)
def test_counts_read_as_people_write_them(event: Progress, text: str):
    assert describe_count(event) == text
