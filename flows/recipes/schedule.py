"""When a deployed recipe is trained again: the section `[schedule]` of its file, which changes no model."""

import difflib
import zoneinfo

from pydantic import Field, field_validator

from rnnmodels.config import Settings

SECTION = "schedule"


class ScheduleSettings(Settings):
    """When `rnnflow deploy` and `rnnflow up` have the recipe trained again; without this section only on request."""

    cron: str = Field(
        max_length=256, description='Minute, hour, day, month and weekday, as in "0 3 * * 1" for Mondays at 3.'
    )
    timezone: str = Field("Etc/UTC", max_length=64, description="Time zone of these times, as in Europe/Berlin.")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        from prefect.client.schemas.schedules import CronSchedule

        try:
            CronSchedule(cron=cron, timezone="UTC")
        except ValueError as error:
            raise ValueError(
                f'got "{cron}", which is not a cron expression; '
                'give minute, hour, day, month and weekday, as in "0 3 * * 1" for Mondays at 3'
            ) from error
        return cron

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        known = zoneinfo.available_timezones()
        if zone not in known:
            nearest = difflib.get_close_matches(zone, known, n=1)
            remedy = f'write "{nearest[0]}"' if nearest else 'write a name such as "Europe/Berlin" or "Etc/UTC"'
            raise ValueError(f'got "{zone}", which is not a time zone; {remedy}')
        return zone
