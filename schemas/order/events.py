"""What it says."""

from typing import Any, Literal

from pydantic import Field

from schemas.common import FrozenLine, OrderLine, Party, Payment, PolicyRef, TrackingStatus
from schemas.order.shapes import OrderStatus, ReleasedLine, SettledLine
from schemas.wire import STAMPED, Code, Currency, Event, Id, Instant, Minor, PositiveMinor, Rejected, Resumed, Text


class OrderEvent(Event):
    """`status` and `protection_ends_at` are on every event: where the order stands after it (R3)."""

    topic = "order.events"

    status: OrderStatus = STAMPED
    protection_ends_at: Instant | None = STAMPED


class Placed(OrderEvent):
    type = "order.placed.v1"

    buyer: Party
    seller: Party
    currency: Currency
    total_minor: PositiveMinor
    lines: tuple[OrderLine, ...]
    payment: Payment
    policy: PolicyRef
    processing_ends_at: Instant


class Cancelled(OrderEvent):
    """Final. The refund runs beside it (R5, R5b)."""

    type = "order.cancelled.v1"

    settlement_id: Id
    refund_minor: PositiveMinor
    cause: Literal["buyer", "not_shipped"]
    reason: Text | None = None


class ProcessingExtended(OrderEvent):
    type = "order.processing_extended.v1"

    days: int
    processing_ends_at: Instant


class Shipped(OrderEvent):
    type = "order.shipped.v1"

    carrier: str
    tracking_number: str
    shipped_at: Instant
    disputable_from: Instant
    disputable_until: Instant
    reminder_at: Instant = Field(description="when both parties will be told what happens at the end (R4b)")


class TrackingCorrected(OrderEvent):
    type = "order.tracking_corrected.v1"

    carrier: str
    tracking_number: str


class TrackingReported(OrderEvent):
    """What the carrier says happened (named apart from the order's own `status`)."""

    type = "order.tracking_reported.v1"

    tracking_status: TrackingStatus
    at: Instant


class ExtensionRequested(OrderEvent):
    type = "order.extension_requested.v1"

    days: int
    message: str | None = None


class ProtectionExtended(OrderEvent):
    type = "order.protection_extended.v1"

    days: int
    disputable_until: Instant
    reminder_at: Instant | None = Field(
        description="null: they were told, and the new end is too near to tell them again"
    )


class ProtectionEnding(OrderEvent):
    """Protection ends soon (R4b). Then what is held goes to the seller; what is disputed stays, but a dispute
    cancelled later gives it to the seller for good (R31)."""

    type = "order.protection_ending.v1"

    held_minor: Minor
    disputed_minor: Minor
    disputable_until: Instant


class ReceiptConfirmed(OrderEvent):
    """Protection ends now; the buyer may still dispute until `disputable_until` (R6, R7)."""

    type = "order.receipt_confirmed.v1"

    disputable_until: Instant


class LinesFrozen(OrderEvent):
    """These lines may be disputed and now are (R8); the dispute service opens the dispute."""

    type = "order.lines_frozen.v1"

    dispute_id: Id
    lines: tuple[FrozenLine, ...]
    claimed_minor: PositiveMinor
    buyer: Party
    seller: Party
    currency: Currency
    policy: PolicyRef
    disputable_until: Instant


class FreezeRefused(Event):
    """These lines may not be disputed. `status` is null where there is no such order."""

    type = "order.freeze_refused.v1"
    topic = "order.events"

    status: OrderStatus | None = STAMPED
    protection_ends_at: Instant | None = STAMPED
    dispute_id: Id
    code: Code
    message: str
    details: dict[str, Any] | None = None


class LinesUnfrozen(OrderEvent):
    """A dispute was cancelled in time: its lines are what they were before (R30)."""

    type = "order.lines_unfrozen.v1"

    dispute_id: Id
    lines: tuple[Id, ...]
    disputable_until: Instant


class LinesReleased(OrderEvent):
    """`release_minor`, the sum of `lines`, is to be paid to the seller now."""

    type = "order.lines_released.v1"

    settlement_id: Id
    lines: tuple[ReleasedLine, ...]
    release_minor: Minor
    final: bool = Field(description="these lines can never be disputed again (R31, R44)")
    cause: Literal["receipt_confirmed", "protection_ended", "dispute_cancelled", "arbitration_cancelled"]
    dispute_id: Id | None = None


class Settled(OrderEvent):
    """How a dispute split its lines, line by line, and what is to move now (R7, R18b)."""

    type = "order.settled.v1"

    settlement_id: Id
    dispute_id: Id
    refund_minor: Minor
    release_minor: Minor
    lines: tuple[SettledLine, ...]
    payout_minor: Minor = Field(description="from escrow to the seller now: his part of the lines that were held")
    chargeback_minor: Minor = Field(description="from the seller's balance now: the refund of lines released before")


class Completed(OrderEvent):
    """Nothing is held, disputed or being refunded. Totals of the order so far; a claim under R7 may reopen it."""

    type = "order.completed.v1"

    refund_minor: Minor
    release_minor: Minor


class OrderRejected(Rejected):
    type = "order.rejected.v1"
    topic = "order.events"

    status: OrderStatus | None = STAMPED
    protection_ends_at: Instant | None = STAMPED


class OrderResumed(Resumed):
    type = "order.resumed.v1"
    topic = "order.events"

    status: OrderStatus | None = STAMPED
    protection_ends_at: Instant | None = STAMPED
