"""What may be asked of it."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from schemas.common import Carrier, LineId, OrderLine, Party, Payment, TrackingNumber, TrackingStatus
from schemas.example import BEA, BUYER, OPERATOR, PLATFORM, SAM, SELLER, fields
from schemas.instants import Instant
from schemas.order import events
from schemas.order.shapes import CommissionBps, Days, OrderDeadline, OrderStatus, ParcelId, ParcelLine, RefundedLine
from schemas.wire import Command, Currency, Id, Resume, Text

WHICH_PARCEL = "which parcel; null: the only one there is (R66)"


UNTIL_ALL_IS_OVER: tuple[OrderStatus, ...] = (
    "awaiting_shipment",
    "awaiting_confirmation",
    "disputed",
    "payment_processing",
)
"""There may be something to be shipped, or in escrow."""
PROTECTED: tuple[OrderStatus, ...] = ("awaiting_confirmation", "disputed", "payment_processing")


class OrderCommand(Command):
    topic = "order.commands"
    states: ClassVar[tuple[OrderStatus | None, ...] | None] = None
    clock: ClassVar[OrderDeadline | None] = None


class Place(OrderCommand):
    """The buyer has paid: the escrow holds his money from now on (R1), or once the payment service says that it is
    captured, where the policy waits for that (R61). Answered by `order.placed`."""

    type = "order.place.v1"
    by = frozenset({"platform"})
    states = (None,)
    answers = (events.Placed,)
    example = fields(
        actor=PLATFORM,
        buyer=BEA,
        seller=SAM,
        currency="EUR",
        lines=[{"line_id": "lamp", "title": "Desk lamp, brass", "quantity": 1, "amount_minor": 1_250}],
        payment={"payment_id": "pay-7f3a", "amount_minor": 1_250},
        policy="aliexpress",
        commission_bps=500,
    )

    buyer: Party
    seller: Party
    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=100)]
    payment: Payment
    policy: Annotated[Id, Field(description="by name; the order keeps its newest version for life (§9)")] = "aliexpress"
    commission_bps: CommissionBps = 0


class Cancel(OrderCommand):
    """Before shipment the buyer gives the order up and gets everything back (R5); or the seller, or an operator,
    cancels it, single lines, or what no parcel has brought yet, and says why (R64, R66). Answered by
    `order.cancelled`, or by `order.lines_cancelled` where the rest of the order goes on."""

    type = "order.cancel.v1"
    by = frozenset({"buyer", "seller", "operator"})
    states = UNTIL_ALL_IS_OVER
    answers = (events.Cancelled, events.LinesCancelled)
    example = fields(actor=BUYER, reason="Ordered by mistake.", lines=None)

    reason: Text | None = Field(default=None, description="why, for people; only the buyer need not say it")
    lines: Annotated[tuple[LineId, ...], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="these alone (R64); null: all. Not the buyer's to choose"
    )

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.reason is None and self.actor.role in ("seller", "operator"):
            raise ValueError("reason: who cancels what somebody else bought says why")
        return self


class RefundLines(OrderCommand):
    """Money of held lines goes back to the buyer without a quarrel, in parts as often as one likes; protection goes on
    over the rest (R64). Answered by `order.refunded`."""

    type = "order.refund.v1"
    by = frozenset({"seller", "operator"})
    states = UNTIL_ALL_IS_OVER
    answers = (events.LinesRefunded,)
    example = fields(
        actor=SELLER, lines=[{"line_id": "lamp", "refund_minor": 250}], reason="Sorry for the scratch on its foot."
    )

    lines: Annotated[tuple[RefundedLine, ...], Field(min_length=1, max_length=100)]
    reason: Text = Field(description="why, for people")

    @model_validator(mode="after")
    def _names_a_line_once(self) -> Self:
        if len({line.line_id for line in self.lines}) < len(self.lines):
            raise ValueError("lines: a line is named twice")
        return self


class ExtendProcessing(OrderCommand):
    """The seller takes more time to ship (R5b). Answered by `order.processing_extended`."""

    type = "order.extend_processing.v1"
    by = frozenset({"seller"})
    states = UNTIL_ALL_IS_OVER
    clock = "processing_ends"
    answers = (events.ProcessingExtended,)
    example = fields(actor=SELLER, days=10)

    days: Days


class Ship(OrderCommand):
    """The seller has sent a parcel, which starts protection (R9): with all that is not shipped, or with the lines and
    pieces that are named, while the others follow in time (R66). Answered by `order.shipped`."""

    type = "order.ship.v1"
    by = frozenset({"seller"})
    states = UNTIL_ALL_IS_OVER
    clock = "processing_ends"
    answers = (events.Shipped,)
    example = fields(
        actor=SELLER,
        carrier="Post",
        tracking_number="RR123456785DE",
        lines=[{"line_id": "lamp", "quantity": 1}],
        parcel_id="1",
    )

    carrier: Carrier
    tracking_number: TrackingNumber
    lines: Annotated[tuple[ParcelLine, ...], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="what is in the parcel (R66); null: all that is not shipped yet"
    )
    parcel_id: ParcelId | None = Field(default=None, description="a name for the parcel; null: its number")

    @model_validator(mode="after")
    def _names_a_line_once(self) -> Self:
        if self.lines and len({line.line_id for line in self.lines}) < len(self.lines):
            raise ValueError("lines: a line is named twice")
        return self


class CorrectTracking(OrderCommand):
    """The seller named the wrong carrier or number (R9); moves no deadline. Answered by `order.tracking_corrected`."""

    type = "order.correct_tracking.v1"
    by = frozenset({"seller"})
    states = UNTIL_ALL_IS_OVER
    answers = (events.TrackingCorrected,)
    example = fields(actor=SELLER, carrier="Post", tracking_number="RR123456785DE", parcel_id="1")

    carrier: Carrier
    tracking_number: TrackingNumber
    parcel_id: ParcelId | None = Field(default=None, description=WHICH_PARCEL)


class ReportTracking(OrderCommand):
    """What the carrier says of the parcel: it informs people and changes nothing (R9), but that protection may end
    earlier once it is delivered (R67). Answered by `order.tracking_reported`."""

    type = "order.report_tracking.v1"
    by = frozenset({"platform"})
    states = (*UNTIL_ALL_IS_OVER, "completed")
    answers = (events.TrackingReported,)
    example = fields(actor=PLATFORM, status="delivered", at="2026-03-16T10:20:00.000Z", parcel_id="1")

    status: TrackingStatus = Field(description="where the parcel is")
    at: Instant = Field(
        description="when that was, as the carrier says: not before shipping, at most 5 minutes ahead (R67)"
    )
    parcel_id: ParcelId | None = Field(default=None, description=WHICH_PARCEL)


class RequestExtension(OrderCommand):
    """The buyer asks for longer protection, for no more than the seller could grant (R4). Answered by
    `order.extension_requested`; it extends nothing."""

    type = "order.request_extension.v1"
    by = frozenset({"buyer"})
    states = PROTECTED
    clock = "protection_ends"
    answers = (events.ExtensionRequested,)
    example = fields(actor=BUYER, days=10, message="Customs has had it for a week.")

    days: Days
    message: Text | None = Field(default=None, description="to the seller")


class ExtendProtection(OrderCommand):
    """The seller extends protection while it runs, under a dispute too (R4). Answered by
    `order.protection_extended`."""

    type = "order.extend_protection.v1"
    by = frozenset({"seller"})
    states = PROTECTED
    clock = "protection_ends"
    answers = (events.ProtectionExtended,)
    example = fields(actor=SELLER, days=10)

    days: Days


class ConfirmReceipt(OrderCommand):
    """The buyer has his goods: protection ends now and what is held is the seller's (R6). Answered by
    `order.receipt_confirmed`; refused while any line is disputed."""

    type = "order.confirm_receipt.v1"
    by = frozenset({"buyer"})
    states = ("awaiting_confirmation", "payment_processing")
    answers = (events.ReceiptConfirmed,)
    example = fields(actor=BUYER)


class OrderResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `order.resumed`, when everything
    that waited has been handled."""

    type = "order.resume.v1"
    topic = "order.commands"
    example = fields(actor=OPERATOR)
