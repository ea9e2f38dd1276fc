"""What every benchmark shares: fresh or warm processes, peak memory, spreads, ratios and result files.

A driver stays light and starts each contender in a process of its own, so that no contender pays for the
imports, the threads or the memory of another.
"""

import contextlib
import importlib.util
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TextIO

import psutil

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.03
MB = 1e6


@dataclass(frozen=True)
class Sample:
    """One finished process: its whole life in seconds, the peak of its process tree, what it answered."""

    process_s: float
    peak_mb: float
    figures: dict


class Worker:
    """A contender in a warm process of its own that works for a number of seconds whenever it is told to."""

    def __init__(self, module: str, arguments: Sequence[str], *, threads: int) -> None:
        self._process = _start(module, arguments, threads=threads, stdin=subprocess.PIPE)
        self._answer()

    def work(self, seconds: float) -> dict:
        """Let the contender work, and return its figures."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"contender ended with exit code {self._process.wait()}: {self._process.args}")
        return json.loads(line)


def run_fresh(module: str, arguments: Sequence[str], *, threads: int = 2) -> Sample:
    """Run a contender in a fresh process and watch the memory of its process tree.

    Pages that several processes share count in each of them.
    """
    started = time.perf_counter()
    with _start(module, arguments, threads=threads) as process:
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, _resident_bytes(watched))
            time.sleep(POLL_S)
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise RuntimeError(f"contender ended with exit code {process.returncode}: {process.args}")
    figures = json.loads(lines[-1])
    return Sample(time.perf_counter() - started, max(peak / MB, figures["own_peak_mb"]), figures)


def answer(figures: dict, file: TextIO) -> None:
    """Send a contender's figures to the driver, with the peak of its own process as the kernel saw it."""
    own_peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(json.dumps({**figures, "own_peak_mb": own_peak_mb}), file=file, flush=True)


@contextlib.contextmanager
def answering() -> Iterator[TextIO]:
    """Keep standard output for answers: whatever a library prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield sys.__stdout__


def serve(start: Callable[[], Callable[[float], dict]]) -> None:
    """Be the other end of a `Worker`: start, greet it, then work each time a line of seconds arrives."""
    with answering() as out:
        work = start()
        answer({}, out)
        for line in sys.stdin:
            answer(work(float(line)), out)


def split_by_presence(modules: dict[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Name the contenders whose modules can be imported here, and say why each other one is skipped."""
    missing = {
        name: [needed for needed in needs if importlib.util.find_spec(needed) is None]
        for name, needs in modules.items()
    }
    reasons = [
        f"Skipped {name}: {', '.join(absent)} not installed (`pip install -r benchmarks/requirements.txt`)."
        for name, absent in missing.items()
        if absent
    ]
    return [name for name, absent in missing.items() if not absent], reasons


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, with the least and the greatest value behind it."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table whose columns, after the first, are right-aligned."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def describe_run(packages: Sequence[str]) -> str:
    """State what a reader needs to repeat a run: command, commit, versions, hardware."""
    arguments = " ".join(shlex.quote(Path(a).name if Path(a).is_absolute() else a) for a in sys.argv[1:])
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    memory_gib = psutil.virtual_memory().total / 2**30
    hardware = f"{_processor()}, {psutil.cpu_count(logical=False)} cores, {memory_gib:.0f} GiB of memory"
    return "\n".join(
        [
            f"- Command: `python -m benchmarks.{Path(sys.argv[0]).stem} {arguments}`",
            f"- Commit: {_commit()}",
            f"- Date: {time.strftime('%Y-%m-%d', time.gmtime())}",
            f"- Hardware: {hardware}; load before the run {os.getloadavg()[0]:.1f}",
            f"- Versions: Python {platform.python_version()}, {versions}",
        ]
    )


def publish(text: str, output: Path | None) -> None:
    """Print a report, and write it where `--output` says."""
    print(text)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n", encoding="utf-8")


def _start(module: str, arguments: Sequence[str], *, threads: int, stdin: int | None = None) -> subprocess.Popen:
    pools = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = {**os.environ, **dict.fromkeys(pools, str(threads)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=stdin, stdout=subprocess.PIPE, text=True)


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += member.memory_info().rss
    return total


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    return f"{head.stdout.strip() or 'none'}{' with local changes' if changed.stdout.strip() else ''}"


def _processor() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0].partition(":")[2].strip() if models else platform.machine()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"
