"""What may be asked of it."""

from schemas.wire import Command, Id, Instant, Label, Service


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
