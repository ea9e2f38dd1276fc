"""What a place finds when it comes up: runs that fell due while it was down, and runs whose worker is gone.

Schedules do not catch up, they wait for their next time.
"""

import datetime

from flows.place.prefect_api import PAGE_SIZE, ask, exists, set_state
from flows.place.processes import flow_runs_of_place
from flows.place.settings import PlaceSettings

GRACE = datetime.timedelta(seconds=60)
UNDER_WAY = ("PENDING", "RUNNING", "CANCELLING")
CRASHED = {"type": "CRASHED", "message": "The place went down while it ran."}
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


def crash_lost_runs(settings: PlaceSettings) -> int:
    """Close the runs that workers had taken before the place went down without a word; returns their number.

    To be asked before workers start. Workers of other machines may go on with theirs, so an exposed server is spared.
    """
    if settings.given_prefect or settings.is_exposed:
        return 0
    under_way = {"state": {"type": {"any_": UNDER_WAY}}, "deployment_id": {"is_null_": False}}
    found = ask(f"{settings.prefect_api}/flow_runs/filter", {"flow_runs": under_way, "limit": PAGE_SIZE})
    lost = {flow_run["id"] for flow_run in found} - set(flow_runs_of_place())
    for flow_run in lost:
        set_state(settings.prefect_api, flow_run, CRASHED, force=True)
    return len(lost)


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
