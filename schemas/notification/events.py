"""What it says."""

from typing import Any

from pydantic import Field

from schemas.common import Email, Locale, Party, PolicyRef, Reason
from schemas.mediation.shapes import Mediator
from schemas.notification.shapes import Attempts, Channel, Problem, Purchase, Recipient
from schemas.wire import Event, Id, Instant, PrivateEvent, Role


class NotificationEvent(Event):
    """`delivery_id` is the same for the same event, recipient and channel; `visible_to` the recipient and operators."""

    topic = "notification.events"

    delivery_id: Id
    event_type: str = Field(description="the wire type of the event that is told")
    event_at: Instant
    recipient: Recipient
    channel: Channel
    template: str
    attempts: Attempts
    visible_to: tuple[Role, ...]


class NotificationSent(NotificationEvent):
    """Taken by the server of its channel, or, on the channel `topic`, told by this very event."""

    type = "notification.sent.v1"


class NotificationFailed(NotificationEvent):
    """Given up: the recipient has not been told by this channel."""

    type = "notification.failed.v1"

    problem: Problem
    smtp_status: int | None = Field(description="the mail server's reply code, if it gave one")
    http_status: int | None = Field(default=None, description="the webhook endpoint's status, if it gave one")


class Introduced(PrivateEvent):
    """The order and whom to write to; from now on its events are told."""

    type = "notification.introduced.v1"

    buyer: Party
    seller: Party
    purchase: Purchase
    policy: PolicyRef


class MediatorIntroduced(PrivateEvent):
    type = "notification.mediator_introduced.v1"

    dispute_id: Id
    mediator: Mediator


class ClaimHeard(PrivateEvent):
    """Why the buyer disputes: the letters about the dispute say it."""

    type = "notification.claim_heard.v1"

    dispute_id: Id
    reason: Reason


class Held(PrivateEvent):
    """An event that came before its `order.placed` waits here (docs/RULES.md §7)."""

    type = "notification.held.v1"

    event_id: str = Field(default="", description="its `ce_id`; what was held before this field was there has none")
    event_type: str
    event_at: Instant
    data: str = Field(description="the event as JSON")


class Queued(PrivateEvent):
    """A letter to be written and sent. Also a row of the queue."""

    type = "notification.queued.v1"

    delivery_id: Id
    event_type: str
    event_at: Instant
    recipient: Recipient
    email: Email
    locale: Locale | None
    template: str
    purchase: Purchase
    facts: dict[str, Any] = Field(description="what the event says, addresses left out, and the rules that apply")


class WebhookQueued(PrivateEvent):
    """A webhook to be sent. Also a row of the queue. Where to, and signed with what, is said by the settings of the
    moment it is sent, so no secret is stored."""

    type = "notification.webhook_queued.v1"

    delivery_id: Id
    event_type: str
    event_at: Instant
    recipient: Recipient
    template: str
    facts: dict[str, Any] = Field(description="as in a letter: addresses left out")


class Postponed(PrivateEvent):
    """An attempt failed; there will be another."""

    type = "notification.postponed.v1"

    delivery_id: Id
    attempts: Attempts
    next_attempt_at: Instant
    problem: Problem
    smtp_status: int | None
    http_status: int | None = None
