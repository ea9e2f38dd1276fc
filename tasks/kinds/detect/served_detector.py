"""A fitted detector as it is served: rows of series in, their anomaly scores out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scales.json`, `recent.parquet` (the last rows of each series, with
what was made of them) and `serving.json`, which says how series are read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.contract.table_model import Refusal
from tasks.errors import InputError
from tasks.kinds.detect.answer_notes import describe_notes, note_answers
from tasks.kinds.detect.detector import StreamingDetector
from tasks.kinds.detect.ingest import write_rows
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.memory import Memory
from tasks.kinds.detect.series_judge import SeriesJudge
from tasks.kinds.detect.serving import RECENT_FILE, SCALES_FILE, Serving
from tasks.kinds.detect.source import DetectionSource
from tasks.panel.frames import ROWS_FILE, read_windows
from tasks.panel.profile import profile_windows
from tasks.panel.refusals import answer_each, refuse_missing_channels
from tasks.panel.served_table import PanelModel
from tasks.panel.time_grid import describe_times
from tasks.registry.served_parts import read_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster

SERIES = "series"


@dataclass(frozen=True, kw_only=True)
class SeriesDetector(PanelModel[DetectionSource]):
    """A model in evaluation mode with the scales it was fitted with, and the last rows of the series it knows."""

    model: "SequenceForecaster"
    scaler: LevelScaler
    recent: pl.LazyFrame
    serving: Serving

    @classmethod
    def load(cls, folder: Path) -> "SeriesDetector":
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.forecasters.forecaster import SequenceForecaster
        from rnnmodels.training.checkpoint import load_model

        serving = Serving.from_dict(read_serving(folder))
        return cls(
            model=load_model(SequenceForecaster, folder),
            scaler=LevelScaler.from_dict(json.loads((folder / SCALES_FILE).read_bytes())),
            recent=pl.scan_parquet(folder / RECENT_FILE),
            serving=serving,
        )

    def store_rows(
        self,
        folder: Path,
        inputs: Inputs,
        intake: Intake[DetectionSource],
        refusals: list[Refusal] | None,  # noqa: ARG002 (a series is refused when it is judged)
    ) -> Path:
        """Read files of series, and leave out channels that the detector never learned."""
        own = {"intake": intake, "channels": self.serving.channels}
        write_rows(folder, settings=intake.settings, inputs=inputs, digest=inputs.digest(), **own)
        return folder / ROWS_FILE

    def read_windows(self, path: Path, max_rows: int) -> Iterator[pl.DataFrame]:
        """Yield stored rows as whole series."""
        return read_windows(path, max_rows)

    def answer_window(
        self,
        rows: pl.DataFrame,
        settings: DetectionSource,  # noqa: ARG002 (rows are judged alike however they were read)
        *,
        refusals: list[Refusal] | None,
        notes: Notes,
        profiles: list[Profile] | None = None,
    ) -> pl.DataFrame:
        """Judge every series of stored rows, as `answer_rows` does."""
        return self.answer_rows(rows, refusals, notes, profiles)

    def describe(self, notes: Notes) -> list[str]:
        """Say which series are new, what was not judged, and which go on after a long pause."""
        return describe_notes(notes)

    @property
    def table_layout(self) -> Mapping[str, object]:
        """A table has no file that could name a series, so a column does."""
        own = self.serving.settings.one_series_per_file
        return {"id_columns": (SERIES,), "one_series_per_file": False} if own else super().table_layout

    def answer_rows(
        self,
        rows: pl.DataFrame,
        refusals: list[Refusal] | None = None,
        notes: Notes | None = None,
        profiles: list[Profile] | None = None,
        memories: dict[str, Memory] | None = None,
    ) -> pl.DataFrame:
        """Judge canonical rows; columns series, time, value, expected, surprise, is_anomaly, alarm, event, status.

        With several channels there are value.<channel> and expected.<channel>. Instants are shown in the zone of the
        training rows' source. `alarm` marks the row with which an event begins, `event` numbers the events of a series.

        Of a series that the detector knows, rows later than the last one seen go on from there (status `judged`). All
        others are `seen`: those that are remembered must be the same, and are answered as they were judged. Where the
        rows of the whole warm-up are given, rows seen are judged from the beginning instead, as they were in training;
        else those before the ones remembered are `forgotten`. Of a series that the detector does not know the first
        rows are the `warm-up`, as many as training would take, which give its scales too. What belongs to a warm-up or
        is forgotten has no score.

        Where rows are numbered by their order alone, nothing tells that they follow those of training: each table is
        the history of series that the detector does not know, unless it comes with a memory, from which it goes on.

        `memories` hold what is remembered of series in place of what training left, and are brought up to date.

        A series that cannot be judged is appended to `refusals`, without which it is raised, as it is where none is
        left. What is to be known of the rows is added to `notes`, and what they look like to `profiles`.

        Raises InputError for the rows: E-DET-021 for times of another kind, E-DET-022 for a channel that is not there;
        for a series: E-DET-020 where nothing can be judged, E-DET-023 and E-DET-024 for rows that contradict those
        seen, E-DET-003 and E-SER-009 for missing numbers.
        """
        self._refuse_other_rows(rows)
        known = self.recall(rows["series"].unique().to_list()) | (memories or {})
        rows = follow_on(rows, known) if self.starts_anew else rows
        windows: list[pl.DataFrame] = []
        judge = self._judge() if profiles is None else replace(self._judge(), windows=windows)
        parts = rows.partition_by("series", maintain_order=True)
        answered = list(answer_each(parts, lambda part: judge.answer(part, known.get(part["series"][0])), refusals))
        answers = [one.answers for one in answered]
        if profiles is not None:
            profiles.append(profile_windows(pl.concat(windows), are_dated=not self.starts_anew))
        if notes is not None:
            note_answers(notes, answers, {name: memory.past for name, memory in known.items()})
        if memories is not None:
            memories |= {one.answers["series"][0]: one.memory for one in answered}
        return pl.concat(answers)

    @property
    def starts_anew(self) -> bool:
        """Whether rows are numbered, not dated: then no number tells that a row follows those seen in training."""
        return self.serving.settings.counts_rows

    def recall(self, series: list[str]) -> dict[str, Memory]:
        """What training left of some series, by their names; those that it does not know are left out."""
        return {} if self.starts_anew else self._remember(series)

    def _remember(self, series: list[str]) -> dict[str, Memory]:
        recent = self.recent.filter(pl.col("series").is_in(series)).collect()
        return {
            name: Memory(past=past, learned=self.serving.series[name], scales=self.scaler.series[name])
            for (name,), past in recent.partition_by("series", as_dict=True).items()
        }

    def stream(self, series: str) -> StreamingDetector:
        """A detector of the next rows of a series that goes on from the last ones it has seen.

        Raises KeyError for a series that it does not know.
        """
        memory = self._remember([series])[series]
        past = memory.past
        streaming = StreamingDetector(
            self.model,
            self.scaler,
            series,
            warm_up_rows=memory.learned.warm_up_rows,
            settings=self.serving.detector_settings,
            is_ordered=self.is_ordered,
        )
        streaming.catch_up(
            self.scaler.levels(series, self.scaler.values_of(past)),
            memory.forecasts,
            self.scaler.describe_times(past["time"]),
            surprise=past["surprise"].to_numpy(),
            first_row=memory.first_row,
            last=past.select(pl.col("time").max()).item(),
            last_values=self.scaler.values_of(past)[-1].tolist(),
        )
        return streaming

    @property
    def is_ordered(self) -> bool:
        """Whether times of a series rise from row to row."""
        source = self.serving.settings
        return "keep" not in (source.unsorted, source.duplicates)

    @property
    def nothing(self) -> pl.DataFrame:
        """A table of remembered rows without any."""
        return self.recent.clear().collect()

    def _judge(self) -> SeriesJudge:
        return SeriesJudge(
            model=self.model,
            scaler=self.scaler,
            serving=self.serving,
            nothing=self.nothing,
            is_ordered=self.is_ordered,
        )

    def _refuse_other_rows(self, rows: pl.DataFrame) -> None:
        """Raise InputError for times of another kind (E-DET-021), or if a channel is not there (E-DET-022)."""
        kind = self.recent.collect_schema()["time"]
        if rows.schema["time"] != kind:
            raise InputError(
                "E-DET-021",
                f"times are {describe_times(rows.schema['time'])}, expected {describe_times(kind)} as in training.",
                fix="write the times as in the training rows.",
                column=self.serving.settings.first_time_column,
            )
        refuse_missing_channels("E-DET-022", rows, self.serving.channels)


def follow_on(rows: pl.DataFrame, known: Mapping[str, Memory]) -> pl.DataFrame:
    """Rows that are numbered from 0 in each series, numbered on from the last one that is remembered of it."""
    ends = {name: 1 + memory.past["time"].to_list()[-1] for name, memory in known.items() if memory.past.height}
    first = pl.col("series").replace_strict(ends, default=0, return_dtype=pl.Int64) if ends else pl.lit(0, pl.Int64)
    return rows.with_columns(pl.col("time") + first)
