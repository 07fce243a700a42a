"""What it says."""

from typing import Any, Literal

from pydantic import Field

from schemas.common import (
    DisputeId,
    FrozenLine,
    LineId,
    OrderLine,
    Party,
    Payment,
    PolicyRef,
    RemindAt,
    SettlementId,
)
from schemas.example import BEA, BUYER, OPERATOR, PLATFORM, POLICY, PROTECTED_IN_DISPUTE, SAM, SELLER, TO_SHIP, fields
from schemas.instants import Instant
from schemas.order.event import DisputableUntil, OrderEvent, ProtectionEndsAt, StatusIfAny
from schemas.order.money_events import Completed as Completed
from schemas.order.money_events import LinesCancelled as LinesCancelled
from schemas.order.money_events import LinesRefunded as LinesRefunded
from schemas.order.money_events import LinesReleased as LinesReleased
from schemas.order.money_events import OrderReminded as OrderReminded
from schemas.order.money_events import Settled as Settled
from schemas.order.shapes import CommissionBps, OrderClocks
from schemas.order.shipping_events import RestShipsBy
from schemas.order.shipping_events import Shipped as Shipped
from schemas.order.shipping_events import TrackingCorrected as TrackingCorrected
from schemas.order.shipping_events import TrackingReported as TrackingReported
from schemas.wire import (
    DETAILS,
    STAMPED,
    Currency,
    Event,
    Id,
    Minor,
    PositiveMinor,
    RefusalCode,
    RefusalMessage,
    Rejected,
    Repeated,
    Resumed,
    Role,
    Text,
)


class Placed(OrderEvent):
    """The order exists and the escrow holds its money (R1). The seller ships by `processing_ends_at`, else it is
    cancelled and refunded (R5b). With `payment_by` the payment is not known to be captured yet: `order.paid` says that
    it is, or `order.cancelled` that it was not (R61)."""

    type = "order.placed.v1"
    example = fields(
        actor=PLATFORM,
        status="awaiting_shipment",
        deadlines=TO_SHIP,
        protection_ends_at=None,
        buyer=BEA,
        seller=SAM,
        currency="EUR",
        total_minor=1_250,
        lines=[{"line_id": "lamp", "title": "Desk lamp, brass", "quantity": 1, "amount_minor": 1_250}],
        payment={"payment_id": "pay-7f3a", "amount_minor": 1_250},
        policy=POLICY,
        processing_ends_at="2026-03-09T09:00:00.000Z",
        commission_bps=500,
        payment_by=None,
        remind_at="2026-03-07T09:00:00.000Z",
    )

    buyer: Party
    seller: Party
    currency: Currency
    total_minor: PositiveMinor = Field(description="captured, in minor units: the sum of the lines")
    lines: tuple[OrderLine, ...]
    payment: Payment
    policy: PolicyRef
    processing_ends_at: Instant = Field(
        description="the seller ships at this instant at the latest; with `payment_by` the latest that it can be"
    )
    payment_by: Instant | None = Field(
        default=None, description="without a word of the payment service by then it is cancelled; null: it is paid"
    )
    commission_bps: CommissionBps = 0
    remind_at: RemindAt = None


class OrderPaid(OrderEvent):
    """The payment service has captured the payment: the escrow holds the money, and the seller's time runs (R61)."""

    type = "order.paid.v1"
    example = fields(
        status="awaiting_shipment",
        deadlines=TO_SHIP,
        protection_ends_at=None,
        payment_id="pay-7f3a",
        amount_minor=1_250,
        processing_ends_at="2026-03-09T09:00:00.000Z",
        remind_at="2026-03-07T09:00:00.000Z",
    )

    payment_id: Id = Field(description="of the captured payment")
    amount_minor: PositiveMinor
    processing_ends_at: Instant = Field(description="the seller ships at this instant at the latest")
    remind_at: RemindAt = None


class Cancelled(OrderEvent):
    """Final. The refund runs beside it (R5, R5b)."""

    type = "order.cancelled.v1"
    example = fields(
        actor=BUYER,
        status="cancelled",
        deadlines=[],
        protection_ends_at=None,
        settlement_id="A-1001.s1",
        refund_minor=1_250,
        cause="buyer",
        reason="Ordered by mistake.",
    )

    settlement_id: SettlementId
    refund_minor: Minor = Field(
        description="everything that was left, in minor units of the currency; 0: it was not paid"
    )
    cause: Literal["buyer", "seller", "operator", "not_shipped", "not_paid"] = Field(
        description="who cancelled it (R64); `not_shipped`: the time to ship ran out (R5b); `not_paid`: nothing was"
        " captured in time (R61)"
    )
    reason: Text | None = Field(default=None, description="in the words of who cancelled it")


class ProcessingExtended(OrderEvent):
    """The seller has until the new `processing_ends_at` to ship (R5b)."""

    type = "order.processing_extended.v1"
    example = fields(
        actor=SELLER,
        status="awaiting_shipment",
        deadlines=TO_SHIP,
        protection_ends_at=None,
        days=10,
        processing_ends_at="2026-03-09T09:00:00.000Z",
        remind_at="2026-03-07T09:00:00.000Z",
    )

    days: int = Field(description="added, as the order's policy counts them")
    processing_ends_at: Instant = Field(description="the new end")
    remind_at: RemindAt = None


class ExtensionRequested(OrderEvent):
    """The buyer asks for longer protection; only the seller can grant it, and nothing is extended yet (R4)."""

    type = "order.extension_requested.v1"
    example = fields(actor=BUYER, status="awaiting_confirmation", days=10, message="Customs has had it for a week.")

    days: int = Field(description="that the buyer asks for, as the order's policy counts them")
    message: str | None = Field(default=None, description="to the seller")


class ProtectionExtended(OrderEvent):
    """The seller gave the buyer more time: `protection_ends_at` and `disputable_until` are the new ones (R4)."""

    type = "order.protection_extended.v1"
    example = fields(
        actor=SELLER,
        status="awaiting_confirmation",
        days=10,
        disputable_until="2026-05-03T15:30:00.000Z",
        reminder_at="2026-04-28T15:30:00.000Z",
    )

    days: int = Field(description="added, as the order's policy counts them")
    disputable_until: DisputableUntil
    reminder_at: Instant | None = Field(
        description="null: they were told, and the new end is too near to tell them again"
    )


class ProtectionShortened(OrderEvent):
    """All parcels so far were delivered, so protection ends earlier: `protection_ends_at` and `disputable_until` are
    the new ones (R67). Then what is held goes to the seller, unless he extends protection, sends another parcel, or it
    is disputed."""

    type = "order.protection_shortened.v1"
    example = fields(
        actor=PLATFORM,
        status="awaiting_confirmation",
        delivered_at="2026-03-16T10:20:00.000Z",
        disputable_until="2026-05-03T15:30:00.000Z",
        reminder_at=None,
    )

    delivered_at: Instant = Field(description="as the carrier says")
    disputable_until: DisputableUntil
    reminder_at: Instant | None = Field(description="null: this is the reminder, the end is too near for another")


class ProtectionEnding(OrderEvent):
    """Protection ends soon (R4b). Then what is held goes to the seller; what is disputed stays, but a dispute
    cancelled later gives it to the seller for good (R31)."""

    type = "order.protection_ending.v1"
    example = fields(
        status="disputed", deadlines=[], held_minor=0, disputed_minor=1_250, disputable_until="2026-05-03T15:30:00.000Z"
    )

    held_minor: Minor = Field(description="goes to the seller at the end, in minor units of the order's currency")
    disputed_minor: Minor = Field(description="waits for its disputes, in minor units of the order's currency")
    disputable_until: DisputableUntil


class ReceiptConfirmed(OrderEvent):
    """Protection of what was shipped ends now; the buyer may still dispute it until `disputable_until` (R6, R7).
    `order.lines_released` follows."""

    type = "order.receipt_confirmed.v1"
    example = fields(
        actor=BUYER,
        status="awaiting_confirmation",
        deadlines=TO_SHIP,
        disputable_until="2026-05-03T15:30:00.000Z",
        rest_ships_by="2026-03-09T09:00:00.000Z",
    )

    disputable_until: DisputableUntil
    rest_ships_by: RestShipsBy = None


class LinesFrozen(OrderEvent):
    """These lines may be disputed and now are (R8); the dispute service opens the dispute."""

    type = "order.lines_frozen.v1"
    example = fields(
        status="disputed",
        deadlines=PROTECTED_IN_DISPUTE,
        dispute_id="A-1001.d1",
        lines=[{"line_id": "lamp", "quantity": 1, "amount_minor": 1_250, "released": False}],
        claimed_minor=1_250,
        buyer=BEA,
        seller=SAM,
        currency="EUR",
        policy=POLICY,
        disputable_until="2026-05-03T15:30:00.000Z",
    )

    dispute_id: DisputeId
    lines: tuple[FrozenLine, ...]
    claimed_minor: Minor = Field(
        description="the most that can be refunded, in minor units of the order's currency (R18b)"
    )
    buyer: Party
    seller: Party
    currency: Currency
    policy: PolicyRef
    disputable_until: DisputableUntil


class FreezeRefused(Event):
    """These lines may not be disputed; the dispute service refuses the claim. `status` is null where there is no such
    order."""

    type = "order.freeze_refused.v1"
    topic = "order.events"
    example = fields(
        status="completed",
        deadlines=[],
        protection_ends_at="2026-05-03T15:30:00.000Z",
        dispute_id="A-1001.d1",
        code="too_late",
        message="The time to do this is over.",
        details={"lost_at": "2026-05-03T15:30:00.000Z"},
        visible_to=None,
    )

    status: StatusIfAny = STAMPED
    protection_ends_at: ProtectionEndsAt = STAMPED
    deadlines: OrderClocks = None
    dispute_id: DisputeId
    code: RefusalCode
    message: RefusalMessage
    details: dict[str, Any] | None = Field(default=None, description=DETAILS)
    visible_to: tuple[Role, ...] | None = Field(
        default=None, description="nobody else is shown it: who asked has no part in the order (R77); null: for all"
    )


class LinesUnfrozen(OrderEvent):
    """A dispute was cancelled in time: what it froze of these lines is what it was before (R30, R65)."""

    type = "order.lines_unfrozen.v1"
    example = fields(
        status="awaiting_confirmation",
        dispute_id="A-1001.d1",
        lines=["lamp"],
        disputable_until="2026-05-03T15:30:00.000Z",
    )

    dispute_id: DisputeId
    lines: tuple[LineId, ...]
    disputable_until: DisputableUntil


class OrderRejected(Rejected):
    """A command to the order service was refused, and nothing changed."""

    type = "order.rejected.v1"
    topic = "order.events"
    example = fields(
        actor=SELLER,
        refused="order.extend_protection.v1",
        status="completed",
        deadlines=[],
        protection_ends_at="2026-05-03T15:30:00.000Z",
    )

    status: StatusIfAny = STAMPED
    protection_ends_at: ProtectionEndsAt = STAMPED
    deadlines: OrderClocks = None


class OrderRepeated(Repeated):
    """A command that came before came again. It had its effect then, and its answer, which this one names."""

    type = "order.repeated.v1"
    topic = "order.events"
    example = fields(actor=SELLER, answer_type="order.shipped.v1")


class OrderResumed(Resumed):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""

    type = "order.resumed.v1"
    topic = "order.events"
    example = fields(
        actor=OPERATOR, status="awaiting_shipment", deadlines=TO_SHIP, protection_ends_at="2026-05-03T15:30:00.000Z"
    )

    status: StatusIfAny = STAMPED
    protection_ends_at: ProtectionEndsAt = STAMPED
    deadlines: OrderClocks = None
