"""What may be asked of it."""

from typing import Annotated

from pydantic import Field

from schemas.common import OrderLine, Party, Payment, TrackingStatus
from schemas.order.shapes import Days
from schemas.wire import Command, Currency, Id, Instant, Label, Resume, Text


class OrderCommand(Command):
    topic = "order.commands"


class Place(OrderCommand):
    """The buyer's payment is captured; the escrow holds it from now on (R1)."""

    type = "order.place.v1"
    by = frozenset({"platform", "buyer"})

    buyer: Party
    seller: Party
    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=100)]
    payment: Payment
    policy: Id = "aliexpress"


class Cancel(OrderCommand):
    type = "order.cancel.v1"
    by = frozenset({"buyer"})

    reason: Text | None = None


class ExtendProcessing(OrderCommand):
    type = "order.extend_processing.v1"
    by = frozenset({"seller"})

    days: Days


class Ship(OrderCommand):
    type = "order.ship.v1"
    by = frozenset({"seller"})

    carrier: Label
    tracking_number: Label


class CorrectTracking(OrderCommand):
    type = "order.correct_tracking.v1"
    by = frozenset({"seller"})

    carrier: Label
    tracking_number: Label


class ReportTracking(OrderCommand):
    type = "order.report_tracking.v1"
    by = frozenset({"platform"})

    status: TrackingStatus
    at: Instant


class RequestExtension(OrderCommand):
    type = "order.request_extension.v1"
    by = frozenset({"buyer"})

    days: Days
    message: Text | None = None


class ExtendProtection(OrderCommand):
    type = "order.extend_protection.v1"
    by = frozenset({"seller"})

    days: Days


class ConfirmReceipt(OrderCommand):
    type = "order.confirm_receipt.v1"
    by = frozenset({"buyer"})


class OrderResume(Resume):
    type = "order.resume.v1"
    topic = "order.commands"
