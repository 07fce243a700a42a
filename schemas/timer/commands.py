"""What may be asked of it."""

from pydantic import Field

from schemas.example import OPERATOR, PLATFORM, fields
from schemas.instants import Instant
from schemas.timer import events
from schemas.timer.shapes import DeadlineName, DeliverTo, RangEarly, TimerId
from schemas.wire import Command, Resume


class TimerCommand(Command):
    topic = "timer.commands"
    by = frozenset({"platform"})
    example = fields(actor=PLATFORM, timer_id="dispute/A-1001")

    timer_id: TimerId


class Schedule(TimerCommand):
    """Arms a timer, moves a known one, or arms it anew; a past instant rings at once, or after a pause where the last
    bell rang too early. Obeyed in silence: `timer.elapsed` follows after `due_at`, unless it is moved or cancelled."""

    type = "timer.schedule.v1"
    is_silent = True
    example = fields(
        name="seller_first_response", due_at="2026-04-04T18:45:10.250Z", deliver_to="dispute", rang_early=False
    )

    name: DeadlineName
    due_at: Instant = Field(description="it rings after this instant, never before")
    deliver_to: DeliverTo
    rang_early: RangEarly = False


class CancelTimer(TimerCommand):
    """It does not ring any more. Cancelling what is gone is no error. Answered by `timer.cancelled`."""

    type = "timer.cancel.v1"
    answers = (events.TimerCancelled,)


class TimerResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `timer.resumed`, when
    everything that waited has been handled."""

    type = "timer.resume.v1"
    topic = "timer.commands"
    example = fields(actor=OPERATOR)
