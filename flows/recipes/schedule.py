"""When a deployed recipe is trained again: the section `[schedule]` of its file, which changes no model."""

import datetime
import zoneinfo

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from rnnmodels.config import Settings
from tasks.errors import nearest

SECTION = "schedule"
NUM_FIELDS = 5


class ScheduleSettings(Settings):
    """When `rnnflow deploy` and `rnnflow up` have the recipe trained again; without this section only on request."""

    cron: str = Field(
        max_length=256, description='Minute, hour, day, month and weekday, as in "0 3 * * 1" for Mondays at 3.'
    )
    timezone: str = Field("Etc/UTC", max_length=64, description="Time zone of these times, as in Europe/Berlin.")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        try:  # Prefect checks it as well, but takes seconds to import
            CronSim(cron, datetime.datetime.now(datetime.UTC))
            if len(cron.split()) == NUM_FIELDS:
                return cron
        except CronSimError:
            pass
        raise ValueError(
            f'got "{cron}", which is not a cron expression; '
            'give minute, hour, day, month and weekday, as in "0 3 * * 1" for Mondays at 3'
        )

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        known = zoneinfo.available_timezones()
        if zone not in known:
            meant = nearest(zone, known)
            remedy = f'write "{meant}"' if meant else 'write a name such as "Europe/Berlin" or "Etc/UTC"'
            raise ValueError(f'got "{zone}", which is not a time zone; {remedy}')
        return zone
