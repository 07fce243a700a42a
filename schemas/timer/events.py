"""What it says."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.example import OPERATOR, PLATFORM, fields
from schemas.instants import Instant
from schemas.timer.shapes import DeadlineName, DeliverTo, RangEarly, TimerId
from schemas.wire import STAMPED, Event, Label, Rejected, Resumed


class TimerEvent(Event):
    topic: ClassVar[str | None] = "timer.events"
    example = fields(timer_id="dispute/A-1001")

    timer_id: TimerId


class Scheduled(TimerEvent):
    """Not said any more: `timer.schedule` is the record itself. Earlier versions answered it so, and what they said
    lies on its topic for ever."""

    type = "timer.scheduled.v1"
    example = fields(
        actor=PLATFORM,
        name="seller_first_response",
        due_at="2026-04-04T18:45:10.250Z",
        deliver_to="dispute",
        rang_early=False,
    )

    name: DeadlineName
    due_at: Instant = Field(description="it rings after this instant, never before")
    deliver_to: DeliverTo
    rang_early: RangEarly = False


class Elapsed(TimerEvent):
    """The instant has passed. It goes into the inbox of the service that asked (and in earlier versions was said on
    `timer.events`, too); there it only wakes: what is overdue the service knows itself."""

    type = "timer.elapsed.v1"
    topic = None
    example = fields(name="seller_first_response", due_at="2026-04-04T18:45:10.250Z")

    name: DeadlineName
    due_at: Instant = Field(description="as it was scheduled")


class TimerCancelled(TimerEvent):
    """The timer is gone, or was."""

    type = "timer.cancelled.v1"
    example = fields(actor=PLATFORM)


class TimerRejected(Rejected):
    """A command to the timer service was refused, and nothing changed."""

    type = "timer.rejected.v1"
    topic = "timer.events"
    example = fields(
        actor=PLATFORM,
        refused="timer.schedule.v1",
        code="invalid",
        message="due_at: Field required",
        details=None,
        timer_id="dispute/A-1001",
    )

    timer_id: Annotated[Label | None, Field(description="that it was about, as far as that could be read")] = STAMPED


class TimerResumed(Resumed):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""

    type = "timer.resumed.v1"
    topic = "timer.events"
    example = fields(actor=OPERATOR)
