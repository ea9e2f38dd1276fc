"""What stage `register` needs of a detector: its folder, its certificate and the proof that it is served."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import write_profile
from tasks.errors import IntegrityError
from tasks.kinds.detect.encode import LEVELS_FILE
from tasks.kinds.detect.memory import count_recent
from tasks.kinds.detect.monitor import reference_profile
from tasks.kinds.detect.served_detector import SERIES, SeriesDetector
from tasks.kinds.detect.serving import RECENT_FILE, SCALES_FILE, Learned, Serving, complete_detector
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.summaries import DetectorSummary, WarmUpSummary
from tasks.kinds.forecast.certificate import TOLERANCE, certify_forecasts
from tasks.kinds.forecast.stored_windows import open_split, read_layout
from tasks.panel.frames import ROWS_FILE, TEST, VALUES
from tasks.panel.source_tables import to_source_table, with_unwanted, write_source_table
from tasks.registry.packaging import Packaging, ask_for_table

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

EXAMPLE = "rows.csv"
EXAMPLE_ROWS = 5_000
PROOF_ROWS = 2_000  # judged rows of a series
NUM_PROVED = 3
MIN_EXAMPLES = 100  # judged rows of an example, however long its warm-up is
SHOWN_METRICS = {"mae": "MAE of levels", "events_per_1000": "events per 1,000 rows", "nab": "NAB score"}
# Mean difference in decades. Sizes are ranked after rounding, so a forecast that rounds otherwise may move some rows'
# the score by a rank or two.
SURPRISE_TOLERANCE = {"cpu": 1e-3, "cuda": 0.05}


def assemble_parts(folder: Path, lineage: Lineage, best: Scored) -> None:
    """Gather in a folder what is needed to judge raw rows as the evaluated model did, and to continue after them."""
    folder.mkdir()
    parts = {"model.safetensors": best.model, "model.json": best.model, SCALES_FILE: lineage.encoded}
    for name, artefact in parts.items():
        shutil.copyfile(artefact.file(name), folder / name)
    splits = WarmUpSummary.of(lineage.splits)
    rows = pl.read_parquet(lineage.encoded.file(LEVELS_FILE), columns=["series", "time", "split"])
    serving = Serving(
        name=best.name,
        source=lineage.rows.manifest["config"],
        channels=tuple(splits.channels),
        clock=splits.clock,
        zone=splits.zone,
        detector=best.model.manifest["config"]["detector"],
        warm_up=lineage.splits.manifest["config"],
        threshold=DetectorSummary.of(best.model).threshold,
        series=describe_learned(rows),
    )
    write_recent(folder / RECENT_FILE, lineage, best, serving)
    complete_detector(folder, serving)
    write_profile(folder, reference_profile(best, lineage))


def describe_learned(rows: pl.DataFrame) -> dict[str, Learned]:
    """What a detector has learned from of each series, given series, time and split of all rows."""
    in_warm_up = pl.col("split") != TEST
    learned = rows.group_by("series", maintain_order=True).agg(
        rows=pl.len(),
        warm_up_rows=in_warm_up.sum(),
        until=pl.col("time").filter(in_warm_up).max().cast(pl.Int64),
    )
    return {series.pop("series"): Learned(**series) for series in learned.to_dicts()}


def write_recent(path: Path, lineage: Lineage, best: Scored, serving: Serving) -> None:
    """Store the last rows of each series with what was made of them: all that what follows is judged by.

    Columns: series, time, value.*, forecast.* (levels, Float32), surprise (the score; null in the warm-up).
    """
    rows = pl.read_parquet(lineage.encoded.file(LEVELS_FILE))
    forecasts_NC = np.load(best.model.file("forecasts.npy"), mmap_mode="r")
    surprise = pl.Series("surprise", np.load(best.model.file("surprise.npy")))
    from_end = pl.int_range(pl.len(), 0, -1).over("series")
    judged = rows.select("series", "time", "split", VALUES).with_columns(
        *(pl.Series(f"forecast.{name}", forecasts_NC[:, index]) for index, name in enumerate(serving.channels)),
        surprise,
    )
    layout = read_layout(lineage.shards)
    longest = max(learned.warm_up_rows for learned in serving.series.values())
    num_recent = count_recent(serving.detector_settings, longest, layout["look_back"] + layout["horizon"])
    recent = judged.filter(from_end <= num_recent).with_columns(
        surprise=pl.when(pl.col("split") == TEST).then("surprise")
    )
    recent.drop("split").write_parquet(path, row_group_size=50_000)


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict:
    """Certify that a window's forecast depends on that window alone, not on the size of the batch or on batch-mates."""
    return certify_forecasts(SeriesDetector.load(folder).model, open_split(lineage.shards, "valid"), num_rows)


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict:
    """Compare a loaded model, fed the raw rows of a few series, with what was evaluated.

    What is said of a row depends on no later one, so of long series the first judged rows are proof enough. Raises
    IntegrityError (E-REG-006) if the registered model is not the one that was judged.
    """
    detector: SeriesDetector = served.unwrap_python_model().model
    device = best.device.partition(":")[0]
    tolerance = {"forecasts": TOLERANCE[device], "surprise": SURPRISE_TOLERANCE[device]}
    # A series without times is judged as a whole, since its length tells how long its warm-up is.
    proofs = choose_proofs(read_layout(lineage.shards)["series"], whole=detector.starts_anew)
    table = raw_table(lineage, {series: len(rows) for series, rows in proofs.items()})
    answers = ask_for_table(served, with_unwanted(table, read_source(lineage)))
    deviations = dict.fromkeys(tolerance, 0.0)
    for series, rows in proofs.items():
        found = measure_deviations(detector, answers.filter(pl.col("series") == series), rows, best)
        deviations = {name: max(deviations[name], found[name]) for name in deviations}
    for name, deviation in deviations.items():
        if not deviation <= tolerance[name]:
            unit = "decades" if name == "surprise" else "levels"
            raise IntegrityError(
                "E-REG-006",
                f"the registered model's {name} differ from the evaluated ones by {deviation:.3g} {unit}, more than "
                f"{tolerance[name]:g}.",
                fix="run again with --refresh; if it persists, what is served is not what was evaluated.",
            )
    return {"rows": table.height, "tolerance": tolerance, "deviations": deviations}


def choose_proofs(layout: list[dict], *, whole: bool = False) -> dict[str, range]:
    """The rows to prove a model by, among those of all series: of the first, the middle and the last series."""
    ends = np.cumsum([one["rows"] for one in layout])
    proofs = {}
    for index in np.unique(np.linspace(0, len(layout) - 1, NUM_PROVED, dtype=np.int64)):
        one, first = layout[index], int(ends[index]) - layout[index]["rows"]
        num_rows = one["rows"] if whole else min(one["rows"], one["warm_up"] + PROOF_ROWS)
        proofs[one["name"]] = range(first, first + num_rows)
    return proofs


def measure_deviations(detector: SeriesDetector, answers: pl.DataFrame, rows: range, best: Scored) -> dict[str, float]:
    """How far answers are from what was evaluated: the largest of forecasts, the mean of scores."""
    series, stored = answers["series"][0], slice(rows.start, rows.stop)
    expected_NC = answers.select(pl.col("^expected.*$")).to_numpy()
    forecasts_NC = np.load(best.model.file("forecasts.npy"), mmap_mode="r")[stored]
    surprise_N = np.load(best.model.file("surprise.npy"), mmap_mode="r")[stored]
    answered_N = answers["surprise"].to_numpy()
    return {
        "forecasts": float(np.abs(detector.scaler.levels(series, expected_NC) - forecasts_NC).max()),
        "surprise": float(np.nanmean(np.abs(answered_N - surprise_N))),
    }


def raw_table(lineage: Lineage, num_rows: dict[str, int]) -> pl.DataFrame:
    """The first rows of some series, as a user has them; they are named even if their files did that in training."""
    source = read_source(lineage)
    if source.one_series_per_file:
        source = source.model_copy(update={"id_columns": (SERIES,), "one_series_per_file": False})
    rows = pl.scan_parquet(lineage.rows.file(ROWS_FILE)).filter(pl.col("series").is_in(list(num_rows))).collect()
    parts = rows.partition_by("series", maintain_order=True)
    return to_source_table(pl.concat(part.head(num_rows[part["series"][0]]) for part in parts), source)


def read_source(lineage: Lineage) -> DetectionSource:
    """The source of the rows, its layout filled in."""
    return DetectionSource.model_validate(lineage.rows.manifest["config"]).with_preset()


def choose_packaging(lineage: Lineage) -> Packaging:
    """How a detector is packaged; the example is the history of a series, as a user has it."""
    return Packaging(
        model_type="detector",
        input_example=raw_table(lineage, choose_example(lineage)).to_pandas(),
        takes_table=True,
    )


def write_example(path: Path, lineage: Lineage) -> None:
    """Write an input to try the model with."""
    write_source_table(path, raw_table(lineage, choose_example(lineage)), read_source(lineage))


def choose_example(lineage: Lineage) -> dict[str, int]:
    """The series that moves furthest from its warm-up's levels within a few thousand rows, and how many to show."""
    level = pl.max_horizontal(pl.col("^level\\..*$").abs())
    rows = pl.scan_parquet(lineage.encoded.file(LEVELS_FILE)).select("series", "split", level=level)
    is_judged = pl.col("split") == TEST
    warm_up_rows = (~is_judged).sum()
    shown = pl.min_horizontal(pl.len(), pl.max_horizontal(warm_up_rows + MIN_EXAMPLES, EXAMPLE_ROWS))
    part, judged = pl.col("level").head(shown), is_judged.head(shown)
    excess = part.filter(judged).max() - part.filter(~judged).max()
    series = rows.group_by("series", maintain_order=True).agg(shown=shown, excess=excess).collect()
    few = series.filter(pl.col("shown") <= pl.max_horizontal(EXAMPLE_ROWS, pl.col("shown").min()))
    chosen = few.sort("excess", descending=True, maintain_order=True).row(0, named=True)
    return {chosen["series"]: chosen["shown"]}


def describe_model(contest: Contest) -> str:
    """Say in Markdown what a version scores and what it takes."""
    metrics = contest.best.test
    shown = ", ".join(
        f"{title} {metrics[name]['value']:.4g} ({metrics[name]['low']:.4g} to {metrics[name]['high']:.4g})"
        for name, title in SHOWN_METRICS.items()
        if name in metrics
    )
    return f"`{contest.best.name}`: test {shown}. It takes rows of series and gives each an anomaly score."


def show_use(packaging: Packaging) -> str:
    """Lines of Python that use the loaded model, as a user writes them."""
    columns = ", ".join(packaging.columns)
    return f'table = pandas.read_csv("{EXAMPLE}")  # columns: {columns}\nmodel.predict(table)'


def name_encoder(lineage: Lineage) -> dict[str, str]:
    """Tag by which a version names its scales."""
    return {"rnnflow.scaler": lineage.encoded.manifest["files"][SCALES_FILE]["sha256"]}
