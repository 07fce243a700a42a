"""What may be asked of it."""

from typing import Annotated

from pydantic import Field

from schemas.example import OPERATOR, fields
from schemas.instants import Instant
from schemas.notification import events
from schemas.wire import Command, Id, Resume


class NotificationResend(Command):
    """An operator has somebody told again of whom was given up, under the same ids, so that who has it after all can
    know it. What is being tried still is tried at once. Of these deliveries of the order all to which whatever is given
    applies. Answered by `notification.resent`, after which each ends in `notification.sent` or `failed` as ever."""

    type = "notification.resend.v1"
    topic = "notification.commands"
    by = frozenset({"operator"})
    answers = (events.NotificationResent,)
    example = fields(
        actor=OPERATOR,
        delivery_id=None,
        endpoint="https://hooks.example.com/recourse",
        since="2026-03-20T18:45:10.250Z",
    )

    delivery_id: Id | None = Field(default=None, description="this one alone")
    endpoint: Annotated[str, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None,
        description="only webhooks: those that this URL of the settings is told by now, or those to the endpoint of "
        "this `endpoint_id` among the recipient's own",
    )
    since: Instant | None = Field(default=None, description="only of events of this instant and later")


class NotificationResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `notification.resumed`, when
    everything that waited has been handled."""

    type = "notification.resume.v1"
    topic = "notification.commands"
    example = fields(actor=OPERATOR)
