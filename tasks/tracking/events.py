"""Events of Prefect, to which automations react."""

import uuid
from collections.abc import Mapping
from typing import Any

from prefect.events import emit_event
from prefect.events.worker import EventsWorker

SEND_LIMIT_S = 15


def send_event(name: str, *, resource: Mapping[str, str], payload: Mapping[str, Any], event_id: str) -> bool:
    """Send an event and wait until it is on its way; returns whether it is. Prefect acts on an id once."""
    event = emit_event(event=name, resource=dict(resource), payload=dict(payload), id=uuid.UUID(event_id))
    drained = EventsWorker.drain_all(timeout=SEND_LIMIT_S, at_exit=False)
    assert isinstance(drained, tuple), "outside an event loop it waits"
    _, pending = drained
    return event is not None and not pending
