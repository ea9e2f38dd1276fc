"""Where log lines go: all to a file of the run, our own warnings also to the terminal.

Set up before Prefect is imported, which then leaves the root logger alone.
"""

import contextlib
import datetime
import io
import logging
import os
from collections.abc import Generator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tasks.errors import printable
from tasks.store.artefacts import home

OUR_LOGGERS = ("flows", "tasks", "rnnmodels")

# Prefect shows our own lines on the dashboard; MLflow writes where everything else is written.
LOGGING_ENVIRONMENT = {
    "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(OUR_LOGGERS),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}


class TerminalHandler(logging.Handler):
    """Writes a record as one line, above any progress bars."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        line = " ".join(printable(part) for part in record.getMessage().splitlines())
        self.console.print(Text(f"{record.levelname.capitalize()}: {line}"), soft_wrap=True)


class PrintedLines(io.TextIOBase):
    """Takes what libraries print and logs it line by line."""

    def write(self, text: str) -> int:
        """Log the lines of a text."""
        for line in filter(str.strip, text.splitlines()):
            logging.getLogger("stdout").info("%s", line)
        return len(text)


@contextlib.contextmanager
def logging_run(name: str, console: Console, *, verbose: bool, quiet: bool = False) -> Generator[Path]:
    """Log a run to `data/logs/`, with what is printed.

    `verbose` shows everything on the terminal, too; `quiet` shows nothing there, for a command that says it itself.
    """
    missing = {variable: value for variable, value in LOGGING_ENVIRONMENT.items() if variable not in os.environ}
    os.environ.update(missing)
    folder = home() / "data" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    started = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{name}-{started}-{os.getpid()}.log"
    root = logging.getLogger()
    handlers = [_file_handler(path)]
    if verbose or not quiet:
        handlers.append(_terminal_handler(console, verbose=verbose))
    level = root.level
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per request to the server
    logging.captureWarnings(True)
    for handler in handlers:
        root.addHandler(handler)
    try:
        with contextlib.redirect_stdout(PrintedLines()):
            yield path
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        for variable in missing:  # what this process starts later does not belong to the run
            os.environ.pop(variable, None)


def _file_handler(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


def _terminal_handler(console: Console, *, verbose: bool) -> logging.Handler:
    handler = TerminalHandler(console)
    if verbose:
        handler.setLevel(logging.INFO)
    else:
        handler.addFilter(lambda record: record.name.partition(".")[0] in OUR_LOGGERS)
    return handler
