"""The timer service's messages: deadlines kept durably and rung after their instant (docs/RULES.md R0)."""

from schemas.wire import STAMPED, Command, Event, Id, Instant, Label, Rejected, Service


class TimerCommand(Command):
    topic = "timer.commands"
    by = frozenset({"platform"})

    timer_id: Label


class Schedule(TimerCommand):
    """Arms a timer, moves a known one, or arms it anew; a past instant rings at once."""

    type = "timer.schedule.v1"

    name: Id
    due_at: Instant
    deliver_to: Service


class CancelTimer(TimerCommand):
    """Cancelling what is gone is no error."""

    type = "timer.cancel.v1"


class TimerEvent(Event):
    topic = "timer.events"

    timer_id: Label


class Scheduled(TimerEvent):
    type = "timer.scheduled.v1"

    name: Id
    due_at: Instant
    deliver_to: Service


class Elapsed(TimerEvent):
    """The instant has passed. Also delivered into the asking service's inbox, where it only wakes: what is overdue
    the service knows itself."""

    type = "timer.elapsed.v1"

    name: Id
    due_at: Instant


class TimerCancelled(TimerEvent):
    type = "timer.cancelled.v1"


class TimerRejected(Rejected):
    type = "timer.rejected.v1"
    topic = "timer.events"

    timer_id: Label | None = STAMPED
