"""Automation on the Prefect server that marks runs without heartbeats as crashed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pipelines.cron import FLOW_NAMES

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

# The automation is found by this name on servers that have it already, so it must not change.
AUTOMATION_NAME = "leadscore: a run that fell silent has crashed"
# Events that show that a run is alive. Running is the server's own event: a run may be killed
# before its first heartbeat.
LIFE_EVENTS = {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"}
END_EVENTS = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}


def ensure_silence_automation(silence: timedelta) -> None:
    """Make the server mark a run of our flows as crashed after ``silence`` without a heartbeat.

    A run reports its own end; a machine that loses power does not. Without this automation its run
    would be Running forever.
    """
    from prefect.client.orchestration import get_client

    automation = _build_automation(silence)
    with get_client(sync_client=True) as client:
        existing = client.read_automations_by_name(AUTOMATION_NAME)
        # An automation that is right is kept: a new one has not seen the heartbeats of runs that
        # fell silent before it, and would not mark them.
        if any(_comparable_form(other) == _comparable_form(automation) for other in existing):
            return
        for outdated in existing:
            client.delete_automation(outdated.id)
        client.create_automation(automation)


def _comparable_form(automation: AutomationCore) -> tuple[bool, dict[str, Any]]:
    return automation.enabled, automation.trigger.model_dump(exclude={"id"})


def _build_automation(silence: timedelta) -> AutomationCore:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=AUTOMATION_NAME,
        description=f"Mark runs of leadscore's flows without a heartbeat for {silence} as crashed.",
        trigger=EventTrigger(
            after=LIFE_EVENTS,
            expect=LIFE_EVENTS | END_EVENTS,
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            match_related={
                "prefect.resource.role": "flow",
                "prefect.resource.name": [f"leadscore-{name}" for name in FLOW_NAMES],
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no heartbeat")],
    )
