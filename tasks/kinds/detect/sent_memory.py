"""The memory of a detector as JSON, for callers that go on with a series where nothing is kept of them.

Of a series that was there in training only the rows since then travel, as many as are remembered.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from tasks.contract.interface import RequestError
from tasks.errors import quoted
from tasks.kinds.detect.levels import LevelScale
from tasks.kinds.detect.memory import Memory, count_recent
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.kinds.detect.serving import Learned

# Years 1 to 9999 in microseconds, and any count of steps that is near them.
Time = Annotated[int, Field(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
SHAPE = ConfigDict(extra="forbid", strict=True)
AGAIN = "send the rows from the beginning again, without a state."


class Scale(BaseModel):
    """Centre and deviation of a channel's ordinary rows."""

    model_config = SHAPE

    centre: Number
    deviation: Number = Field(gt=1e-270)  # a number's distance from the centre in deviations stays a float


class WarmUp(BaseModel):
    """What was learned of a series after training: from how many rows, until when, and its scales by channel."""

    model_config = SHAPE

    rows: Count
    until: Time
    scales: dict[str, Scale]


class SeriesState(BaseModel):
    """What a detector remembers of a series, to be sent back as it came.

    `seen` counts all rows there were. `warm_up` is null for a series that was there in training. The others are columns
    of the last rows, those of channels by name: times in microseconds since 1970 or in steps, numbers, forecast levels.
    """

    model_config = SHAPE

    model: str
    series: str
    seen: Count
    warm_up: WarmUp | None
    time: list[Time]
    value: dict[str, list[Number]]
    forecast: dict[str, list[Number]]
    surprise: list[Annotated[Number, Field(ge=0)] | None]


def send_memory(memory: Memory, series: str, detector: SeriesDetector, label: str) -> dict[str, Any]:
    """The state of a series, in the shape of `SeriesState`; `label` names the version of the model."""
    trained, learned = None if detector.starts_anew else detector.serving.series.get(series), memory.learned
    rows = memory.past.tail(learned.rows - (trained.rows if trained else 0))
    scales = {name: asdict(scale) for name, scale in memory.scales.items()}
    warm_up = {"rows": learned.warm_up_rows, "until": learned.until, "scales": scales}
    columns = {
        role: {name: rows[f"{role}.{name}"].to_list() for name in detector.serving.channels}
        for role in ("value", "forecast")
    }
    return {
        "model": label,
        "series": series,
        "seen": learned.rows,
        "warm_up": None if trained else warm_up,
        "time": rows["time"].cast(pl.Int64).to_list(),
        **columns,
        "surprise": rows["surprise"].to_list(),
    }


def receive_memories(states: Sequence[SeriesState], detector: SeriesDetector, label: str) -> dict[str, Memory]:
    """The memories of series that states hold.

    Raises RequestError for the first state that is of another version, or not as the model sent it.
    """
    trained = detector.recall([state.series for state in states])
    memories: dict[str, Memory] = {}
    for index, state in enumerate(states):
        place = f"state[{index}]"
        if state.model != label:
            raise RequestError(f"{place}.model", f"got a state of {quoted(state.model)}, and {label} answers.", AGAIN)
        if state.series in memories:
            raise RequestError(f"{place}.series", "occurs twice.", "send one state per series.")
        memories[state.series] = _receive(state, trained.get(state.series), detector, place)
    return memories


def _receive(state: SeriesState, trained: Memory | None, detector: SeriesDetector, place: str) -> Memory:
    channels, settings = detector.serving.channels, detector.serving.detector_settings
    before = trained or _begin(state, detector)
    num_kept = count_recent(settings, before.learned.warm_up_rows, detector.model.shape.num_steps)
    num_new = state.seen - before.learned.rows
    columns = [state.time, state.surprise, *state.value.values(), *state.forecast.values()]
    named = [state.value, state.forecast, *([state.warm_up.scales] if state.warm_up else [])]
    times = [*before.past["time"].cast(pl.Int64).tail(1), *state.time]
    is_sound = {
        "has a warm-up of its own, or none, other than its series": (trained is None) == (state.warm_up is not None),
        "has other channels than the model": all(set(one) == set(channels) for one in named),
        "has columns of different lengths": len({len(column) for column in columns}) == 1,
        "counts other rows than it holds": times != [] and len(state.time) == min(num_new, num_kept),
        "has times that do not rise": not detector.is_ordered or all(one < next_ for one, next_ in pairwise(times)),
    }
    for fault in (fault for fault, is_fine in is_sound.items() if not is_fine):
        raise RequestError(place, f"{fault}.", f"send it back as it came, or {AGAIN}")
    numbers = {f"{role}.{name}": getattr(state, role)[name] for role in ("value", "forecast") for name in channels}
    named_rows = {"series": [state.series] * len(state.time), "time": state.time, "surprise": state.surprise}
    kinds = before.past.schema
    plain = {name: kind if kind.is_float() or name == "series" else pl.Int64() for name, kind in kinds.items()}
    rows = pl.DataFrame(named_rows | numbers, schema_overrides=plain).select(
        pl.col(name).cast(kind) for name, kind in kinds.items()
    )
    past = pl.concat([before.past, rows]).tail(num_kept)
    return replace(before, past=past, learned=replace(before.learned, rows=state.seen))


def _begin(state: SeriesState, detector: SeriesDetector) -> Memory:
    """What is remembered, before any row, of a series that was not there in training."""
    told = state.warm_up or WarmUp(rows=0, until=0, scales={})
    learned = Learned(rows=0, warm_up_rows=told.rows, until=told.until)
    scales = {
        name: LevelScale(**told.scales[name].model_dump()) for name in detector.serving.channels if name in told.scales
    }
    return Memory(past=detector.nothing, learned=learned, scales=scales)
