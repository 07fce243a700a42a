"""What it says."""

from schemas.wire import STAMPED, Event, Id, Instant, Label, Rejected, Service


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
