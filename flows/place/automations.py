"""What the place does by itself: it closes flow runs whose process is gone, and retrains when inputs drift."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

ZOMBIES, DRIFT = "rnnflow: crash runs without heartbeat", "rnnflow: retrain on drift"
AUTOMATIONS = (ZOMBIES, DRIFT)
DRIFT_EVENT = "rnnflow.drift"
RETRAIN = "retrain/retrain"

HEARTBEAT = "prefect.flow-run.heartbeat"
SILENCE_LIMIT = timedelta(seconds=90)  # three heartbeats
# After these a run is silent for a good reason. States with names of our own (`Skipped`) are final, too.
LAST_WORDS = ("Completed", "Failed", "Crashed", "Cancelled", "Skipped", "Suspended", "Paused", "AwaitingRetry")


def update_automations() -> None:
    """Create what is shipped on the server in use, or bring it up to date; what was switched off there stays off."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        retrain = client.read_deployment_by_name(RETRAIN)
        model = model_of(retrain.parameters["recipe"])
        for wanted in (crash_zombies(), retrain_on_drift(retrain.id, model)):
            existing = client.read_automations_by_name(wanted.name)
            if existing:
                client.update_automation(existing[0].id, wanted.model_copy(update={"enabled": existing[0].enabled}))
            else:
                client.create_automation(wanted)


def crash_zombies() -> "AutomationCore":
    """Mark a flow run Crashed that has sent heartbeats and then none for a while, without a last word."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    return AutomationCore(
        name=ZOMBIES,
        description=f"Marks a run as Crashed if it stops sending heartbeats for {SILENCE_LIMIT.seconds} seconds.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *(f"prefect.flow-run.{name}" for name in LAST_WORDS)},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE_LIMIT,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat: its process is gone.")],
    )


def model_of(recipe: dict) -> str:
    """Name of the model that a deployed recipe registers."""
    return recipe.get("registry", {}).get("model_name") or recipe["name"]


def retrain_on_drift(deployment_id: UUID, model: str) -> "AutomationCore":
    """Start the deployment `retrain` when `monitor` reports drift of the model that it trains."""
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    return AutomationCore(
        name=DRIFT,
        description=f"Starts {RETRAIN} on each event {DRIFT_EVENT} that the flow monitor emits for {model}.",
        trigger=EventTrigger(
            expect={DRIFT_EVENT},
            match=ResourceSpecification({"prefect.resource.id": f"rnnflow.model.{model}"}),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment_id)],
    )
