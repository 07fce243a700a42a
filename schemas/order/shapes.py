"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import CLOCKS, ClockEndsAt, LineId, PiecesIfSome
from schemas.wire import Id, Minor, PositiveMinor, Shape

OrderStatus = Literal[
    "awaiting_payment",
    "awaiting_shipment",
    "awaiting_confirmation",
    "disputed",
    "payment_processing",
    "completed",
    "cancelled",
]

OrderDeadline = Literal[
    "payment_window", "processing_ends", "protection_reminder", "protection_ends", "processing_reminder"
]
"""Those of one instant happen in this order (§8)."""

PARCELS_MAX = 100
"""Of one order (R66)."""

ParcelId = Annotated[Id, Field(description="of a parcel, new in its order; who names none gets its number: `1`, `2` …")]

Days = Annotated[int, Field(ge=1, le=3_650, description="days, as the order's policy counts them")]


CommissionBps = Annotated[
    int, Field(ge=0, le=10_000, description="the platform's part of every release, in hundredths of a percent (R69)")
]


class OrderClock(Shape):
    """A deadline of an order that runs."""

    name: OrderDeadline = Field(
        description="what happens then. `payment_window`: what is not paid is cancelled (R61); `processing_ends`: what "
        "is not shipped is cancelled (R5b, R66); `processing_reminder`: the seller is reminded of that (R68); "
        "`protection_reminder`: both are told what the end of protection will bring (R4b); `protection_ends`: what is "
        "held is the seller's (R2)"
    )
    at: ClockEndsAt


OrderClocks = Annotated[tuple[OrderClock, ...] | None, Field(description=CLOCKS)]


class SettledLine(Shape):
    """How the money of one line, or of some of its pieces, was split."""

    line_id: LineId
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    release_minor: Minor = Field(description="to the seller, in minor units of the order's currency")
    pieces: PiecesIfSome = None


class RefundedLine(Shape):
    """Money of one line that goes back to the buyer while the rest of it stays where it is (R64)."""

    line_id: LineId
    refund_minor: PositiveMinor = Field(description="of what is left of it, in minor units of the order's currency")


class CancelledLine(Shape):
    """A line, or what of it was not in a parcel yet, that will not be shipped (R64, R66)."""

    line_id: LineId
    refund_minor: Minor = Field(description="all that was left of it, in minor units of the order's currency")
    pieces: PiecesIfSome = None


class ParcelLine(Shape):
    """What of a line goes into a parcel; without a quantity all that is left of it to ship."""

    line_id: LineId
    quantity: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="pieces in the parcel, the lowest-numbered that are not shipped; null: all of them"
    )


class ShippedLine(Shape):
    """A line, or some of its pieces, that is in a parcel (R66)."""

    line_id: LineId
    quantity: Annotated[int, Field(ge=1, description="pieces in the parcel")]
    pieces: PiecesIfSome = None


class ReleasedLine(Shape):
    """A line, or some of its pieces, that is the seller's now."""

    line_id: LineId
    amount_minor: Minor = Field(description="to move now: 0 for a line that was released before it was disputed")
    pieces: PiecesIfSome = None
