"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import LineId, PiecesIfSome
from schemas.wire import Minor, PositiveMinor, Shape

OrderStatus = Literal[
    "awaiting_payment",
    "awaiting_shipment",
    "awaiting_confirmation",
    "disputed",
    "payment_processing",
    "completed",
    "cancelled",
]

Days = Annotated[int, Field(ge=1, le=3_650, description="days, as the order's policy counts them")]


CommissionBps = Annotated[
    int, Field(ge=0, le=10_000, description="the platform's part of every release, in hundredths of a percent (R69)")
]


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
    """A line that will not be shipped (R64)."""

    line_id: LineId
    refund_minor: Minor = Field(description="all that was left of it, in minor units of the order's currency")


class ReleasedLine(Shape):
    """A line, or some of its pieces, that is the seller's now."""

    line_id: LineId
    amount_minor: Minor = Field(description="to move now: 0 for a line that was released before it was disputed")
    pieces: PiecesIfSome = None
