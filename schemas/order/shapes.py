"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.wire import Id, Minor, Shape

OrderStatus = Literal[
    "awaiting_shipment", "awaiting_confirmation", "disputed", "payment_processing", "completed", "cancelled"
]

Days = Annotated[int, Field(ge=1, le=3_650, description="days, as the order's policy counts them")]


class SettledLine(Shape):
    line_id: Id
    refund_minor: Minor
    release_minor: Minor


class ReleasedLine(Shape):
    line_id: Id
    amount_minor: Minor = Field(description="to move now: 0 for a line that was released before it was disputed")
