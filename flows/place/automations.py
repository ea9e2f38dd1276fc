"""What the place does by itself: it closes flow runs whose process is gone, and retrains when inputs drift."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

ZOMBIES = "rnnflow: crash runs without heartbeat"
DRIFT_EVENT = "rnnflow.drift"
RETRAIN = "retrain"

HEARTBEAT = "prefect.flow-run.heartbeat"
SILENCE_LIMIT = timedelta(seconds=90)  # three heartbeats
# After these a run is silent for a good reason. States with names of our own (`Skipped`) are final, too.
LAST_WORDS = ("Completed", "Failed", "Crashed", "Cancelled", "Skipped", "Suspended", "Paused", "AwaitingRetry")


def update_automations() -> None:
    """Create what is shipped on the server in use, or bring it up to date; what was switched off there stays off."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    with get_client(sync_client=True) as client:
        retrains = client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=[RETRAIN])))
        on_drift = [
            retrain_on_drift(one.id, one.name, model_of(one.parameters["recipe"]))
            for one in retrains
            if "recipe" in one.parameters
        ]
        for wanted in (crash_zombies(), *on_drift):
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
    sections = (recipe, recipe.get("advanced", {}))
    return next(filter(None, (one.get("registry", {}).get("model_name") for one in sections)), recipe["name"])


def retrain_on_drift(deployment_id: UUID, deployment: str, model: str) -> "AutomationCore":
    """Start a deployment of the flow `retrain` when `monitor` reports drift of the model that it trains."""
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    return AutomationCore(
        name=f"rnnflow: {deployment} on drift",
        description=f"Starts {RETRAIN}/{deployment} on each event {DRIFT_EVENT} of the flow monitor for {model}.",
        trigger=EventTrigger(
            expect={DRIFT_EVENT},
            match=ResourceSpecification({"prefect.resource.id": f"rnnflow.model.{model}"}),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment_id)],
    )
