"""What stage `register` needs of a forecaster: its folder, its certificate and the proof that it is served."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import write_profile
from tasks.errors import IntegrityError
from tasks.kinds.forecast.certificate import TOLERANCE, certify_forecasts
from tasks.kinds.forecast.forecaster import POINT, SeriesForecaster
from tasks.kinds.forecast.monitor import reference_profile
from tasks.kinds.forecast.serving import Serving, complete_forecaster
from tasks.kinds.forecast.stored_windows import open_split
from tasks.kinds.forecast.summaries import CutSummary, SeriesRowsSummary
from tasks.panel.frames import ROWS_FILE, VALUES
from tasks.panel.source import SeriesSource
from tasks.panel.source_tables import to_source_table, with_unwanted, write_source_table
from tasks.registry.packaging import Packaging, ask_for_table

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

    from rnnmodels.forecasters.windows import Windows

EXAMPLE = "history.csv"


def assemble_parts(folder: Path, lineage: Lineage, best: Scored) -> None:
    """Gather in a folder what is needed to forecast from raw histories as the evaluated model did."""
    folder.mkdir()
    parts = {"model.safetensors": best.model, "model.json": best.model, "scaler.json": lineage.encoded}
    for name, artefact in parts.items():
        shutil.copyfile(artefact.file(name), folder / name)
    found = SeriesRowsSummary.of(lineage.rows)
    serving = Serving(
        name=best.name,
        source=lineage.rows.manifest["config"],
        grid=found.grid,
        channels=tuple(found.channels),
        covariates=tuple(found.covariates),
        levels=tuple(json.loads(best.model.file("forecast.json").read_bytes())["quantiles"]),
        cuts=CutSummary.of(lineage.splits).cuts,
    )
    complete_forecaster(folder, serving)
    write_profile(folder, reference_profile(SeriesForecaster.load(folder), lineage))


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict:
    """Certify that a window's forecast depends on that window alone, not on the size of the batch or on batch-mates."""
    return certify_forecasts(SeriesForecaster.load(folder).model, open_split(lineage.shards, "valid"), num_rows)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A test window as it was evaluated: its series, where its history ends, scaled outputs [H, C, O]."""

    series: str
    origin: int
    outputs: np.ndarray


def judged_windows(lineage: Lineage, best: Scored) -> list[Judged]:
    """Take the first, the middle and the last test window whose history ends with a number."""
    windows, fit = windows_with_end(lineage)
    ids = fit[np.linspace(0, len(fit) - 1, min(3, len(fit)), dtype=np.int64)]
    outputs = np.load(best.model.file("test.npy"), mmap_mode="r")
    places = [name_origin(lineage, windows, int(window)) for window in ids]
    return [
        Judged(series=series, origin=origin, outputs=np.array(outputs[window]))
        for (series, origin), window in zip(places, ids, strict=True)
    ]


def windows_with_end(lineage: Lineage) -> "tuple[Windows, np.ndarray]":
    """The test windows, and the numbers of those whose history ends with a number.

    A history whose last rows were filled in as a whole ends earlier for a user, who may as well have left them out.
    """
    windows = open_split(lineage.shards, "test")
    has_number = pl.any_horizontal(VALUES.is_not_null())
    rows = pl.scan_parquet(lineage.rows.file(ROWS_FILE)).filter(has_number).select("row").collect(engine="streaming")
    ends = windows.origins(np.arange(windows.num_rows)).row
    return windows, np.flatnonzero(np.isin(ends, rows["row"].to_numpy()))


def name_origin(lineage: Lineage, windows: "Windows", window: int) -> tuple[str, int]:
    """The series of a window, and the row at which its history ends."""
    origins = windows.origins(np.array([window]))
    names = json.loads(lineage.shards.file("shards.json").read_bytes())["series"]
    return names[int(origins.series[0])], int(origins.row[0])


def read_source(lineage: Lineage) -> SeriesSource:
    """The source of the rows, its layout filled in."""
    return SeriesSource(**lineage.rows.manifest["config"]).with_preset()


def raw_history(lineage: Lineage, series: str, origin: int, *, horizon: int, length: int | None = None) -> pl.DataFrame:
    """Rows of a series up to a window's origin, as a user has them; what is known of the horizon follows.

    length: how many rows before the horizon, by default all.
    """
    rows = pl.scan_parquet(lineage.rows.file(ROWS_FILE)).filter(series=series).collect()
    end = int(np.flatnonzero(rows["row"].to_numpy() == origin)[0]) + 1
    past = rows[:end] if length is None else rows[:end].tail(length)
    return unscaled_table(past, rows[end : end + horizon], read_source(lineage))


def unscaled_table(past: pl.DataFrame, ahead: pl.DataFrame, source: SeriesSource) -> pl.DataFrame:
    """Turn canonical rows into a table with the columns of the source; values of the rows ahead are left empty."""
    values = [name for name in past.columns if name.startswith("value.")]
    is_known = any(name.startswith("known.") for name in past.columns)
    empty = ahead.with_columns(pl.lit(None, pl.Float64).alias(name) for name in values)
    return to_source_table(pl.concat([past, empty]) if is_known else past, source)


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict:
    """Compare a loaded model, fed raw histories, with what was evaluated.

    Raises IntegrityError (E-REG-006) if the registered model is not the one that was judged.
    """
    forecaster: SeriesForecaster = served.unwrap_python_model().model
    tolerance = TOLERANCE[best.device.partition(":")[0]]
    deviation = 0.0
    judged = judged_windows(lineage, best)
    for window in judged:
        known = raw_history(lineage, window.series, window.origin, horizon=len(window.outputs))
        history = with_unwanted(known, read_source(lineage))
        answer = ask_for_table(served, history)
        columns = [POINT, *(name for name in answer.columns if name.startswith("q"))]
        shape = (len(window.outputs), len(forecaster.serving.channels), len(columns))
        numbers = answer.select(columns).to_numpy().reshape(shape)
        units = forecaster.scaler.units([window.series], forecaster.serving.channels)
        difference = numbers - units.restore(window.outputs[None])[0]
        deviation = max(deviation, float(np.abs(difference / units.scale[0][:, None]).max()))
    if not deviation <= tolerance:
        raise IntegrityError(
            "E-REG-006",
            f"the registered model's forecasts differ from the evaluated ones by {deviation:.3g} deviations, "
            f"more than {tolerance:g}.",
            fix="run again with --refresh; if it persists, what is served is not what was evaluated.",
        )
    return {"rows": len(judged), "tolerance": tolerance, "deviations": {"forecasts": deviation}}


def choose_packaging(lineage: Lineage) -> Packaging:
    """How a forecaster is packaged; the example is the end of a series, as a user has it."""
    return Packaging(
        model_type="forecaster",
        input_example=end_of_a_series(lineage).to_pandas(),
        takes_table=True,
    )


def write_example(path: Path, lineage: Lineage) -> None:
    """Write an input to try the model with."""
    write_source_table(path, end_of_a_series(lineage), read_source(lineage))


def end_of_a_series(lineage: Lineage) -> pl.DataFrame:
    """The history of the last test window, as a user has it; what is known of its horizon follows, if that matters.

    The very last rows of a series may follow a gap, so that they are too few to forecast from.
    """
    windows, fit = windows_with_end(lineage)
    series, origin = name_origin(lineage, windows, int(fit[-1]))
    layout = json.loads(lineage.shards.file("shards.json").read_bytes())
    return raw_history(lineage, series, origin, horizon=layout["horizon"], length=layout["look_back"])


def describe_model(contest: Contest) -> str:
    """Say in Markdown what a version scores and what it takes."""
    metrics = contest.best.test
    shown = ", ".join(
        f"{name.upper()} {one['value']:.4f} ({one['low']:.4f} to {one['high']:.4f})"
        for name, one in metrics.items()
        if name in ("mse", "mae")
    )
    return f"`{contest.best.name}`: test {shown}, in scaled units. It takes the history of series."


def show_use(packaging: Packaging) -> str:
    """Lines of Python that use the loaded model, as a user writes them."""
    columns = ", ".join(packaging.columns)
    return f'table = pandas.read_csv("{EXAMPLE}")  # columns: {columns}\nmodel.predict(table)'


def name_encoder(lineage: Lineage) -> dict[str, str]:
    """Tag by which a version names its scaler."""
    return {"rnnflow.scaler": lineage.encoded.manifest["files"]["scaler.json"]["sha256"]}
