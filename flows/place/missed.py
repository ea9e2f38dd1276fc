"""Runs that fell due while nobody was there: schedules do not catch up, they wait for their next time."""

import datetime

from flows.place.settings import PlaceSettings
from flows.prefect_api import PAGE_SIZE, ask, exists, set_state

GRACE = datetime.timedelta(seconds=60)
SKIPPED = {"type": "CANCELLED", "name": "Skipped", "message": "It fell due while the place was down."}
TIDY = "tidy/tidy"


def skip_missed_runs(settings: PlaceSettings) -> int:
    """Close the scheduled runs that a place's own server missed; returns their number."""
    if settings.given_prefect:
        return 0  # others may have been there
    skipped = 0
    while missed := _missed_runs(settings.prefect_api):
        for flow_run in missed:
            set_state(settings.prefect_api, flow_run["id"], SKIPPED, force=True)
        skipped += len(missed)
    return skipped


def request_tidy(settings: PlaceSettings) -> None:
    """Have the flow `tidy` close what the dead left open, if it is deployed."""
    by_name = f"{settings.prefect_api}/deployments/name/{TIDY}"
    if exists(by_name):
        ask(f"{settings.prefect_api}/deployments/{ask(by_name)['id']}/create_flow_run", {})


def _missed_runs(api: str) -> list[dict]:
    due = {"before_": (datetime.datetime.now(datetime.UTC) - GRACE).isoformat()}
    waiting = {"state": {"type": {"any_": ["SCHEDULED"]}}, "next_scheduled_start_time": due}
    found = ask(f"{api}/flow_runs/filter", {"flow_runs": waiting, "limit": PAGE_SIZE})
    return [flow_run for flow_run in found if flow_run["auto_scheduled"]]
