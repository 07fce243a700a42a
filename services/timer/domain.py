"""What the timer service says (docs/RULES.md R0): little. What is pending stands in its table, set there by the very
commands (projection.py), not in streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never, get_args

from schemas.timer.commands import CancelTimer, Schedule, TimerResume
from schemas.timer.events import Elapsed, TimerCancelled, TimerRejected, TimerResumed
from schemas.wire import Service
from shared.kernel.decider import Decider, Output, Refusal, Send, stateless
from shared.kernel.policies import Policies
from shared.rules.refusals import who_may

Commands = Schedule | CancelTimer
DUE = "timer.due"


@dataclass(frozen=True, slots=True)
class Due:
    """Own input: the instant of a timer has passed."""

    timer_id: str
    name: str
    due_at: datetime
    deliver_to: Service


def decide(state: None, command: Commands, now: datetime, policies: Policies) -> Sequence[Output]:
    if refusal := who_may(command, {}):
        return [refusal]
    match command:
        case Schedule(deliver_to="notification"):
            return [Refusal("invalid", "The notification service sleeps at no deadline: nothing wakes it.")]
        case Schedule():
            return []
        case CancelTimer(timer_id=timer_id):
            return [TimerCancelled(timer_id=timer_id)]
        case _:
            assert_never(command)


def react(state: None, due: Due, now: datetime, policies: Policies) -> Sequence[Output]:
    elapsed = Elapsed(timer_id=due.timer_id, name=due.name, due_at=due.due_at)
    return [Send(elapsed, f"{due.deliver_to}.commands")]


DECIDER: Decider[None, Commands, Due] = Decider(
    service="timer",
    commands=get_args(Commands),
    decide=decide,
    react=react,
    own_inputs={DUE: Due},
    evolve=stateless,
    rejected=TimerRejected,
    resume=TimerResume,
    resumed=TimerResumed,
)
