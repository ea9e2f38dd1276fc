"""One Prefect event per drift: an automation may start a training with each, so repeating one is expensive.

`data/seen/<name>/alarm.json` remembers what was alarmed. The event's id is written down before the event is sent, so
a monitor killed in between sends the same event again, and Prefect acts on an id once.
"""

import datetime
import json
import logging
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rnnmodels.durable import write_durably
from tasks.monitoring.examination import DriftReport
from tasks.monitoring.seen import seen_folder
from tasks.store.locks import sole_holder
from tasks.tracking import events

logger = logging.getLogger(__name__)

EVENT = "rnnflow.drift"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A drift that was or is to be alarmed; `model` is `name/version`, times are in UTC."""

    model: str
    event: str
    raised: str
    expires: str
    sent: bool = False

    def covers(self, model: str, now: datetime.datetime) -> bool:
        """Tell whether this alarm still stands for a drift of this version."""
        return self.model == model and now < datetime.datetime.fromisoformat(self.expires)


def alarm_once(report: DriftReport) -> bool:
    """Emit the event of a drift unless this version's was emitted within the window; tells whether it did.

    The alarm is forgotten when the drift has ended; a window with too few rows does not show that.
    """
    path = seen_folder(report.name) / "alarm.json"
    with sole_holder(path.with_suffix(".lock")):
        if report.status == "stable":
            path.unlink(missing_ok=True)
        if report.status != "drifted":
            return False
        alarm = _standing_alarm(path, report)
        if alarm.sent or not send_event(report, event_id=alarm.event):
            return False
        _write(path, replace(alarm, sent=True))
        return True


def send_event(report: DriftReport, *, event_id: str) -> bool:
    """Send the event `rnnflow.drift` and wait until it is on its way; tells whether it is."""
    resource = {"prefect.resource.id": f"rnnflow.model.{report.name}", "prefect.resource.name": report.name}
    is_sent = events.send_event(EVENT, resource=resource, payload=report.as_json(), event_id=event_id)
    if not is_sent:
        logger.warning("The event %s could not be sent; the next monitor run sends it again.", EVENT)
    return is_sent


def _standing_alarm(path: Path, report: DriftReport) -> Alarm:
    """The alarm that covers a drift, made and written down if there is none."""
    now = datetime.datetime.now(datetime.UTC)
    if path.exists():
        alarm = Alarm(**json.loads(path.read_bytes()))
        if alarm.covers(report.model, now):
            return alarm
    alarm = Alarm(
        model=report.model,
        event=str(uuid.uuid4()),
        raised=now.isoformat(timespec="seconds"),
        expires=(now + datetime.timedelta(days=report.window_days)).isoformat(timespec="seconds"),
    )
    _write(path, alarm)
    return alarm


def _write(path: Path, alarm: Alarm) -> None:
    write_durably(path, json.dumps(asdict(alarm)).encode())
