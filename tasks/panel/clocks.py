"""Readings of clocks to instants on one time line: time zones, hours that clocks skip or show twice, mixed stamps."""

from pathlib import Path
from typing import Literal

import polars as pl

from tasks.errors import InputError, plural, printable
from tasks.panel.second_readings import settle_second_readings
from tasks.panel.source import StampedSource
from tasks.sources.row_checks import Check

Place = tuple[str, int]
# Units of times that no clock shows.
COUNTED = ("step", "order")


# One zone for each day on which clocks go back, and for each hour that they then show twice.
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "Australia/Sydney")


def zone_that_repeats(times: pl.Series) -> str | None:
    """A zone whose clocks show each of some readings (microseconds since 1970) twice, if there is one."""
    local = times.unique().cast(pl.Datetime("us"))
    for zone in ZONES:
        instants = (
            local.dt.replace_time_zone(zone, ambiguous=which, non_existent="null") for which in ("earliest", "latest")
        )
        earliest, latest = instants
        if (earliest != latest).fill_null(value=False).all():
            return zone
    return None


def place_instants(settings: StampedSource) -> list[pl.Expr]:
    """Expressions for `earliest` and `latest`, the instants a row may mean, over `local` and `offset_minutes`.

    In UTC where the row or the settings know the zone; both null where clocks skip the reading.
    """
    local, offset = pl.col("local"), pl.col("offset_minutes")
    if settings.time_unit in COUNTED:
        return [local.alias("earliest"), local.alias("latest")]
    shifted = local - pl.duration(minutes=offset)
    if settings.time_zone is None:
        instant = pl.coalesce(shifted, local)
        return [instant.alias("earliest"), instant.alias("latest")]
    # A day begins with its first instant, even if clocks skip its midnight or show it twice.
    first = pl.coalesce(_in_utc(at, settings.time_zone, "earliest") for at in (local, local + pl.duration(hours=1)))
    day = pl.when("is_day").then(first)
    return [
        pl.coalesce(shifted, day, _in_utc(local, settings.time_zone, ambiguous)).alias(ambiguous)
        for ambiguous in ("earliest", "latest")
    ]


def check_instants(settings: StampedSource) -> list[Check]:
    """What daylight saving time does to local readings."""
    if settings.time_unit in COUNTED:
        return []
    zone = settings.time_zone
    twice = pl.col("earliest") != pl.col("latest")
    return [
        Check(
            "E-TIME-009",
            "time",
            pl.col("earliest").is_null(),
            f"got {{value}}, which clocks in {zone} skip when they go forward.",
            'correct time_zone (clocks that never change have one such as "Etc/GMT-1"), or set on_bad_rows = "skip".',
        ),
        Check(
            "E-TIME-010",
            "time",
            twice if settings.ambiguous_times == "error" else pl.lit(False),
            f"got {{value}}, which clocks in {zone} show twice when they go back.",
            'set ambiguous_times = "order" if the rows are in order, else "earliest" or "latest", or write the offset.',
        ),
    ]


class TimeLine:
    """Puts the rows of a source on one time line, batch by batch, and remembers what kind of line it is."""

    def __init__(self, settings: StampedSource) -> None:
        self._settings = settings
        self._first_places: dict[int | None, Place] = {}
        self._num_lone = 0

    @property
    def clock(self) -> Literal["step", "utc", "naive"]:
        """What times are: numbers of steps, instants, or readings of a clock whose zone nobody knows."""
        if self._settings.time_unit in COUNTED:
            return "step"
        return "utc" if self._settings.time_zone or self._offsets else "naive"

    @property
    def zone(self) -> str | None:
        """The zone on whose clocks days and months are counted."""
        return (self._settings.time_zone or "UTC") if self.clock == "utc" else None

    def warnings(self) -> list[str]:
        """Say where a fixed offset stands for a zone, and where an hour that clocks show twice is there once."""
        if self._num_lone:
            return [
                f"took the earlier reading for {plural(self._num_lone, 'row')} without a counterpart in an hour that "
                "clocks show twice"
            ]
        if self._settings.time_zone or self._offsets in ([], [0]):
            return []
        return [
            f"times have the offset {_shown(self._offsets[0])}; days, months and calendar features are counted in UTC "
            "unless time_zone is set"
        ]

    def settle(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Turn `earliest` and `latest` into Int64 columns: `time`, microseconds since 1970 or the step, and `later`.

        Raises InputError: E-TIME-011 for stamps with and without offset, E-TIME-012 for several offsets.
        """
        if self._settings.time_unit not in COUNTED:
            self._refuse_mixture(rows)
        time = pl.col("latest" if self._settings.ambiguous_times == "latest" else "earliest")
        return rows.with_columns(time=time.cast(pl.Int64), later=pl.col("latest").cast(pl.Int64))

    def settle_order(self, parked: Path) -> None:
        """Give ambiguous rows of a file of parked rows the instant that their order tells, if that is to decide.

        Raises InputError (E-TIME-022) where it does not tell.
        """
        if self._settings.ambiguous_times == "order" and self._settings.time_zone is not None:
            self._num_lone = settle_second_readings(parked, self._settings)

    @property
    def _offsets(self) -> list[int]:
        return [offset for offset in self._first_places if offset is not None]

    def _refuse_mixture(self, rows: pl.DataFrame) -> None:
        firsts = rows.unique("offset_minutes", keep="first", maintain_order=True)
        for offset, *place in firsts.select("offset_minutes", "file", "line").iter_rows():
            self._first_places.setdefault(offset, tuple(place))
            if None in self._first_places and self._offsets:
                raise self._mixed("E-TIME-011", offset, "write all times with an offset, or none.")
            if len(self._offsets) > 1 and self._settings.time_zone is None:
                raise self._mixed("E-TIME-012", offset, "set time_zone to the zone whose clocks the times follow.")

    def _mixed(self, code: str, offset: int | None, fix: str) -> InputError:
        file, line = self._first_places[offset]
        other, (other_file, other_line) = next(iter(self._first_places.items()))
        return InputError(
            code,
            f"got a time {_shown(offset)}, expected one {_shown(other)} as in {printable(other_file)}:{other_line}.",
            fix=fix,
            file=file,
            row=line,
            column=self._settings.first_time_column,
        )


def _in_utc(local: pl.Expr, zone: str, ambiguous: Literal["earliest", "latest"]) -> pl.Expr:
    zoned = local.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null")
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _shown(offset_minutes: int | None) -> str:
    if offset_minutes is None:
        return "without an offset"
    sign = "-" if offset_minutes < 0 else "+"
    return f"{sign}{abs(offset_minutes) // 60:02}:{abs(offset_minutes) % 60:02}"
