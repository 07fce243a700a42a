"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import LineId
from schemas.wire import Minor, Shape

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


class SettledLine(Shape):
    """How the money of one line was split."""

    line_id: LineId
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    release_minor: Minor = Field(description="to the seller, in minor units of the order's currency")


class ReleasedLine(Shape):
    """A line that is the seller's now."""

    line_id: LineId
    amount_minor: Minor = Field(description="to move now: 0 for a line that was released before it was disputed")
