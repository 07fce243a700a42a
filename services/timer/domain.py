"""What the timer service says (docs/RULES.md R0). Stateless: what is pending stands in its agenda, not in streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.timer.commands import CancelTimer, Schedule, TimerCommand
from schemas.timer.events import Elapsed, Scheduled, TimerCancelled, TimerRejected
from schemas.wire import Event, Service
from shared.kernel.decider import Decider, Output, Refusal, Send
from shared.rules.policies import Policies


@dataclass(frozen=True, slots=True)
class Due:
    """Own input: the instant of a timer has passed."""

    timer_id: str
    name: str
    due_at: datetime
    deliver_to: Service


def decide(state: None, message: Any, time: datetime, policies: Policies) -> Sequence[Output]:
    match message:
        case TimerCommand(actor=actor) if actor.role not in message.by:
            return [Refusal("not_allowed", "Only our own services set timers.")]
        case Schedule(deliver_to="notification"):
            return [Refusal("invalid", "The notification service has no inbox to ring in.")]
        case Schedule(timer_id=timer_id, name=name, due_at=due_at, deliver_to=deliver_to):
            return [Scheduled(timer_id=timer_id, name=name, due_at=due_at, deliver_to=deliver_to)]
        case CancelTimer(timer_id=timer_id):
            return [TimerCancelled(timer_id=timer_id)]
        case Due(timer_id=timer_id, name=name, due_at=due_at, deliver_to=deliver_to):
            elapsed = Elapsed(timer_id=timer_id, name=name, due_at=due_at)
            return [elapsed, Send(elapsed, f"{deliver_to}.commands")]
    return []


def evolve(state: None, event: Event) -> None:
    return None


DECIDER: Decider[None] = Decider(
    service="timer",
    decide=decide,
    evolve=evolve,
    deadlines=lambda state: (),
    rejected=TimerRejected,
    stateless=True,
)
