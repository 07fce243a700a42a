"""What may be asked of it."""

from typing import Annotated

from pydantic import Field

from schemas.common import Carrier, OrderLine, Party, Payment, TrackingNumber, TrackingStatus
from schemas.example import BEA, BUYER, OPERATOR, PLATFORM, SAM, SELLER, fields
from schemas.instants import Instant
from schemas.order.shapes import Days
from schemas.wire import Command, Currency, Id, Resume, Text


class OrderCommand(Command):
    topic = "order.commands"


class Place(OrderCommand):
    """The buyer's payment is captured; the escrow holds it from now on (R1). Answered by `order.placed`."""

    type = "order.place.v1"
    by = frozenset({"platform"})
    example = fields(
        actor=BUYER,
        buyer=BEA,
        seller=SAM,
        currency="EUR",
        lines=[{"line_id": "lamp", "title": "Desk lamp, brass", "quantity": 1, "amount_minor": 1_250}],
        payment={"payment_id": "pay-7f3a", "amount_minor": 1_250},
        policy="aliexpress",
    )

    buyer: Party
    seller: Party
    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=100)]
    payment: Payment
    policy: Annotated[Id, Field(description="by name; the order keeps its newest version for life (§9)")] = "aliexpress"


class Cancel(OrderCommand):
    """Before shipment the buyer gives the order up and gets everything back (R5). Answered by `order.cancelled`."""

    type = "order.cancel.v1"
    by = frozenset({"buyer"})
    example = fields(actor=BUYER, reason="Ordered by mistake.")

    reason: Text | None = Field(default=None, description="why, for people")


class ExtendProcessing(OrderCommand):
    """The seller takes more time to ship (R5b). Answered by `order.processing_extended`."""

    type = "order.extend_processing.v1"
    by = frozenset({"seller"})
    example = fields(actor=SELLER, days=10)

    days: Days


class Ship(OrderCommand):
    """The seller has sent the parcel, which starts protection (R9). Answered by `order.shipped`."""

    type = "order.ship.v1"
    by = frozenset({"seller"})
    example = fields(actor=SELLER, carrier="Post", tracking_number="RR123456785DE")

    carrier: Carrier
    tracking_number: TrackingNumber


class CorrectTracking(OrderCommand):
    """The seller named the wrong carrier or number (R9); moves no deadline. Answered by `order.tracking_corrected`."""

    type = "order.correct_tracking.v1"
    by = frozenset({"seller"})
    example = fields(actor=SELLER, carrier="Post", tracking_number="RR123456785DE")

    carrier: Carrier
    tracking_number: TrackingNumber


class ReportTracking(OrderCommand):
    """What the carrier says of the parcel: it informs people and changes nothing (R9). Answered by
    `order.tracking_reported`."""

    type = "order.report_tracking.v1"
    by = frozenset({"platform"})
    example = fields(actor=PLATFORM, status="delivered", at="2026-03-16T10:20:00.000Z")

    status: TrackingStatus = Field(description="where the parcel is")
    at: Instant = Field(description="when that was, as the carrier says")


class RequestExtension(OrderCommand):
    """The buyer asks for longer protection, for no more than the seller could grant (R4). Answered by
    `order.extension_requested`; it extends nothing."""

    type = "order.request_extension.v1"
    by = frozenset({"buyer"})
    example = fields(actor=BUYER, days=10, message="Customs has had it for a week.")

    days: Days
    message: Text | None = Field(default=None, description="to the seller")


class ExtendProtection(OrderCommand):
    """The seller extends protection while it runs, under a dispute too (R4). Answered by
    `order.protection_extended`."""

    type = "order.extend_protection.v1"
    by = frozenset({"seller"})
    example = fields(actor=SELLER, days=10)

    days: Days


class ConfirmReceipt(OrderCommand):
    """The buyer has his goods: protection ends now and what is held is the seller's (R6). Answered by
    `order.receipt_confirmed`; refused while any line is disputed."""

    type = "order.confirm_receipt.v1"
    by = frozenset({"buyer"})
    example = fields(actor=BUYER)


class OrderResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `order.resumed`, when everything
    that waited has been handled."""

    type = "order.resume.v1"
    topic = "order.commands"
    example = fields(actor=OPERATOR)
