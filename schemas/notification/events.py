"""What it says."""

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from schemas.common import Email, Locale, Party, PolicyRef, Reason, TimeZone
from schemas.example import BEA, MIA, OPERATOR, POLICY, SAM, fields
from schemas.instants import Instant
from schemas.mediation.shapes import Mediator
from schemas.notification.shapes import (
    Attempts,
    DeliveryId,
    OwnEndpointId,
    Problem,
    Purchase,
    Recipient,
    SentBy,
    ToldRecipient,
)
from schemas.wire import Event, Id, Minor, PrivateEvent, Rejected, Repeated, Resumed, Role

AttemptsBefore = Field(ge=0, description="made before it was given up and begun anew: they are counted on")
EventId = Annotated[
    str,
    Field(description="`ce_id` of the event that is told; what was queued before this field was there has none"),
]


class NotificationEvent(Event):
    """What became of telling people of an event; `visible_to` are those whom it names, and operators."""

    topic = "notification.events"
    example = fields(
        event_type="dispute.opened.v1",
        event_at="2026-03-20T18:45:10.250Z",
        template="dispute.opened",
        visible_to=["buyer", "operator"],
    )

    event_type: str = Field(description="the wire type of the event that is told")
    event_at: Instant = Field(description="`ce_time` of the event that is told")
    template: str = Field(description="which letter it is")
    visible_to: tuple[Role, ...] = Field(description="nobody else is shown this event")


class DeliveryEvent(NotificationEvent):
    """What became of one delivery. So was `notification.sent` written, too, while each had a record of its own."""

    example = fields(
        delivery_id="9b2f6c1de04a4f7788d05c3b1a6e4f20",
        recipient={"role": "buyer", "id": "bea"},
        channel="email",
        attempts=9,
        endpoint_id=None,
    )

    delivery_id: DeliveryId
    recipient: Recipient
    channel: SentBy
    attempts: Attempts
    endpoint_id: OwnEndpointId = None


class NotificationSent(NotificationEvent):
    """Told: taken by the servers of their channels, or, on the channel `topic`, by this very event. One record an event
    with all its recipients, said when the last first attempt has come back; whoever could be told only at a later one
    follows in another. A reader who may see it is shown his own entries alone, an operator all."""

    type = "notification.sent.v1"
    example = fields(
        recipients=[
            {
                "role": "buyer",
                "id": "bea",
                "delivery_id": "9b2f6c1de04a4f7788d05c3b1a6e4f20",
                "channel": "email",
                "attempts": 1,
            },
            {
                "role": "seller",
                "id": "sam",
                "delivery_id": "51d0a9b7c3e84f62a0b1c2d3e4f50617",
                "channel": "email",
                "attempts": 1,
            },
        ],
        visible_to=["buyer", "seller", "operator"],
    )

    recipients: tuple[ToldRecipient, ...] = Field(min_length=1, description="who was told; at least one")

    @classmethod
    def read(cls, data: bytes | str) -> Self:
        try:
            return super().read(data)
        except ValidationError:
            one = DeliveryEvent.read(data)
            how = one.model_dump(include={"delivery_id", "channel", "attempts", "endpoint_id"})
            told = ToldRecipient(role=one.recipient.role, id=one.recipient.id, **how)
            return cls(recipients=(told,), **{name: getattr(one, name) for name in NotificationEvent.model_fields})


class NotificationFailed(DeliveryEvent):
    """Given up: the recipient has not been told by this channel. There is no further attempt, unless an operator asks
    for one (`notification.resend`)."""

    type = "notification.failed.v1"
    example = fields(problem="unreachable", smtp_status=450, http_status=None)

    problem: Problem = Field(
        description="`unreachable`: no server, or not in time; `refused`: it said no; `bad_address`: nothing can or "
        "may go there; `unwritable`: its words could not be written; `no_address`: nobody has said where to, or he is "
        "erased (R74)"
    )
    smtp_status: int | None = Field(description="the mail server's reply code, if it gave one")
    http_status: int | None = Field(default=None, description="the webhook endpoint's status, if it gave one")


class NotificationResent(Event):
    """An operator has had deliveries begun anew, or tried at once. Each ends in `notification.sent` or `failed`, under
    the same id, its attempts counted on."""

    type = "notification.resent.v1"
    topic = "notification.events"
    example = fields(actor=OPERATOR, delivery_ids=["9b2f6c1de04a4f7788d05c3b1a6e4f20"], visible_to=["operator"])

    delivery_ids: tuple[Id, ...] = Field(description="at least one")
    visible_to: tuple[Role, ...] = Field(default=("operator",), description="nobody else is shown this event")


class NotificationRejected(Rejected):
    """A command to the notification service was refused, and nothing changed."""

    type = "notification.rejected.v1"
    topic = "notification.events"
    example = fields(
        actor=OPERATOR,
        refused="notification.resume.v1",
        code="wrong_state",
        message="Nothing of this order waits here.",
        details=None,
    )


class NotificationRepeated(Repeated):
    """A command that came before came again. It had its effect then, and its answer, which this one names."""

    type = "notification.repeated.v1"
    topic = "notification.events"
    example = fields(actor=OPERATOR, answer_type="notification.resumed.v1")


class NotificationResumed(Resumed):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""

    type = "notification.resumed.v1"
    topic = "notification.events"
    example = fields(actor=OPERATOR)


class Introduced(PrivateEvent):
    """The order and whom to write to; from now on its events are told."""

    type = "notification.introduced.v1"
    example = fields(
        buyer=BEA, seller=SAM, purchase={"currency": "EUR", "title": "Desk lamp, brass", "lines": 1}, policy=POLICY
    )

    buyer: Party
    seller: Party
    purchase: Purchase
    policy: PolicyRef


class MediatorIntroduced(PrivateEvent):
    """Who sits in a round: what concerns him is told to him, too."""

    type = "notification.mediator_introduced.v1"
    example = fields(dispute_id="A-1001.d1", mediator=MIA)

    dispute_id: Id
    mediator: Mediator


class ClaimHeard(PrivateEvent):
    """Why the buyer disputes: the letters about the dispute say it."""

    type = "notification.claim_heard.v1"
    example = fields(dispute_id="A-1001.d1", reason="damaged")

    dispute_id: Id
    reason: Reason


class CompletionHeard(PrivateEvent):
    """The order is completed, with these totals: it is told once, however often it comes back there with no others."""

    type = "notification.completion_heard.v1"
    example = fields(refund_minor=900, release_minor=350)

    refund_minor: Minor
    release_minor: Minor


class HeldEvent(PrivateEvent):
    """An event that came before its `order.placed` waits here (docs/RULES.md §7)."""

    type = "notification.held.v1"
    example = fields(
        event_id="3f0e8a52c7d14b6f",
        event_type="dispute.opened.v1",
        event_at="2026-03-20T18:45:10.250Z",
        data='{"order_id":"A-1001","dispute_id":"A-1001.d1","status":"awaiting_seller"}',
    )

    event_id: str = Field(default="", description="its `ce_id`; what was held before this field was there has none")
    event_type: str
    event_at: Instant
    data: str = Field(description="the event as JSON")


class Queued(PrivateEvent):
    """A letter to be written and sent. Also a row of the queue. Where to, in which language and by which clock is
    looked up in `people` when it is sent; what is said here was given at placing, and counts only for whom `people`
    does not know (R74)."""

    type = "notification.queued.v1"
    example = fields(
        delivery_id="9b2f6c1de04a4f7788d05c3b1a6e4f20",
        event_id="3f0e8a52c7d14b6f",
        event_type="dispute.opened.v1",
        event_at="2026-03-20T18:45:10.250Z",
        recipient={"role": "buyer", "id": "bea"},
        email="bea@example.com",
        locale="en",
        template="dispute.opened",
        purchase={"currency": "EUR", "title": "Desk lamp, brass", "lines": 1},
        facts={"status": "awaiting_seller", "claimed_minor": 1_250, "seller_silence": "refund"},
        attempts=0,
        time_zone=None,
        not_before=None,
    )

    delivery_id: Id
    event_type: str
    event_at: Instant
    recipient: Recipient
    email: Email | None = None
    locale: Locale | None
    template: str
    purchase: Purchase
    facts: dict[str, Any] = Field(description="what the event says, addresses left out, and the rules that apply")
    event_id: EventId = ""
    attempts: Annotated[int, AttemptsBefore] = 0
    time_zone: TimeZone | None = None
    not_before: Instant | None = Field(default=None, description="it waits until then; null: it goes out at once")


class WebhookQueued(PrivateEvent):
    """A webhook to be sent. Also a row of the queue. Where to, and signed with what, is said by the settings of the
    moment it is sent, and of the recipient's own by `people`: so neither secrets nor people's addresses are stored."""

    type = "notification.webhook_queued.v1"
    example = fields(
        delivery_id="9b2f6c1de04a4f7788d05c3b1a6e4f20",
        event_id="3f0e8a52c7d14b6f",
        event_type="dispute.opened.v1",
        event_at="2026-03-20T18:45:10.250Z",
        recipient={"role": "buyer", "id": "bea"},
        template="dispute.opened",
        facts={"status": "awaiting_seller", "claimed_minor": 1_250, "seller_silence": "refund"},
        attempts=0,
        endpoint_id=None,
    )

    delivery_id: Id
    event_type: str
    event_at: Instant
    recipient: Recipient
    template: str
    facts: dict[str, Any] = Field(
        description="as in a letter: addresses left out; of the recipient's own what he may see of the event"
    )
    event_id: EventId = ""
    attempts: Annotated[int, AttemptsBefore] = 0
    endpoint_id: OwnEndpointId = None


class LookupQueued(PrivateEvent):
    """Which webhooks of his own the recipient has is to be looked up in `people` (R74): each of them is told this. Also
    a row of the queue."""

    type = "notification.lookup_queued.v1"
    example = fields(
        delivery_id="51d0a9b7c3e84f62a0b1c2d3e4f50617",
        event_id="3f0e8a52c7d14b6f",
        event_type="dispute.opened.v1",
        event_at="2026-03-20T18:45:10.250Z",
        recipient={"role": "buyer", "id": "bea"},
        template="dispute.opened",
        facts={"dispute_id": "A-1001.d1", "status": "awaiting_seller", "buyer": {"id": "bea"}},
        attempts=0,
    )

    delivery_id: Id
    event_type: str
    event_at: Instant
    recipient: Recipient
    template: str
    facts: dict[str, Any] = Field(description="what the recipient may see of the event, addresses left out")
    event_id: EventId = ""
    attempts: Annotated[int, AttemptsBefore] = 0


class Taken(PrivateEvent):
    """Its server has it. `notification.sent` says so once no other delivery of the event is at its first attempt."""

    type = "notification.taken.v1"
    example = fields(
        told={
            "role": "buyer",
            "id": "bea",
            "delivery_id": "9b2f6c1de04a4f7788d05c3b1a6e4f20",
            "channel": "email",
            "attempts": 1,
        }
    )

    told: ToldRecipient


class LookedUp(PrivateEvent):
    """What was to be looked up was, and each endpoint that was found has a delivery of its own from here on. Of a
    webhook to an endpoint which is there no more: it ends, for nobody is owed it."""

    type = "notification.looked_up.v1"
    example = fields(delivery_id="51d0a9b7c3e84f62a0b1c2d3e4f50617", endpoint_ids=["shelf"])

    delivery_id: Id
    endpoint_ids: tuple[Id, ...] = Field(description="the recipient's own; none: he has none, or nobody knows him")


class Hastened(PrivateEvent):
    """What waited for its next attempt is tried at once: an operator has asked for it (R80)."""

    type = "notification.hastened.v1"
    example = fields(delivery_id="9b2f6c1de04a4f7788d05c3b1a6e4f20", next_attempt_at="2026-03-20T18:45:40.250Z")

    delivery_id: Id
    next_attempt_at: Instant = Field(description="now")


class Postponed(PrivateEvent):
    """An attempt failed; there will be another."""

    type = "notification.postponed.v1"
    example = fields(
        delivery_id="9b2f6c1de04a4f7788d05c3b1a6e4f20",
        attempts=1,
        next_attempt_at="2026-03-20T18:45:40.250Z",
        problem="unreachable",
        smtp_status=450,
        http_status=None,
    )

    delivery_id: Id
    attempts: Attempts
    next_attempt_at: Instant
    problem: Problem
    smtp_status: int | None
    http_status: int | None = None
