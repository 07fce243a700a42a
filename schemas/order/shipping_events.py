"""What it says of parcels: what is sent, under which number, and where the carrier says it is."""

from typing import Annotated

from pydantic import Field

from schemas.common import TrackingStatus
from schemas.example import PLATFORM, SELLER, fields
from schemas.instants import Instant
from schemas.order.event import DisputableUntil, OrderEvent
from schemas.order.shapes import ParcelId, ShippedLine

FIRST_PARCEL = "1"
"""Of which an event is about that names none: it is the only one."""
Parcels = Annotated[int, Field(ge=1, description="that the order has so far: where there are several, say which")]
RestShipsBy = Annotated[
    Instant | None,
    Field(description="what is in no parcel by then is cancelled and refunded (R66); null: nothing is left to ship"),
]


class Shipped(OrderEvent):
    """Protection runs from now until `protection_ends_at` (R9); then what is held is released to the seller (R2),
    unless it is disputed. Of several parcels each starts it anew for all that is held; what is in none by
    `rest_ships_by` is cancelled and refunded, by `order.lines_cancelled` (R66)."""

    type = "order.shipped.v1"
    example = fields(
        actor=SELLER,
        status="awaiting_confirmation",
        carrier="Post",
        tracking_number="RR123456785DE",
        shipped_at="2026-03-04T15:30:00.000Z",
        disputable_from="2026-03-04T15:30:00.000Z",
        disputable_until="2026-05-03T15:30:00.000Z",
        reminder_at="2026-04-28T15:30:00.000Z",
        parcel_id="1",
        lines=[{"line_id": "lamp", "quantity": 1}],
        rest_ships_by="2026-03-09T09:00:00.000Z",
    )

    carrier: str = Field(description="who carries the parcel")
    tracking_number: str = Field(description="the carrier's number of the parcel")
    shipped_at: Instant = Field(description="when the seller said so: protection counts from here")
    disputable_from: Instant = Field(description="the first moment to dispute (R8), which is the first parcel's")
    disputable_until: DisputableUntil
    reminder_at: Instant = Field(description="when both parties will be told what happens at the end (R4b)")
    parcel_id: ParcelId = FIRST_PARCEL
    lines: tuple[ShippedLine, ...] | None = Field(
        default=None, description="what is in the parcel (R66); null: all that there was to ship"
    )
    rest_ships_by: RestShipsBy = None


class TrackingCorrected(OrderEvent):
    """The parcel's carrier and number are these; no deadline moved (R9)."""

    type = "order.tracking_corrected.v1"
    example = fields(
        actor=SELLER,
        status="awaiting_confirmation",
        carrier="Post",
        tracking_number="RR123456785DE",
        parcel_id="1",
        parcels=1,
    )

    carrier: str = Field(description="who carries the parcel")
    tracking_number: str = Field(description="the carrier's number of the parcel")
    parcel_id: ParcelId = FIRST_PARCEL
    parcels: Parcels = 1


class TrackingReported(OrderEvent):
    """What the carrier says happened (named apart from the order's own `status`). By itself it changes nothing (R9)."""

    type = "order.tracking_reported.v1"
    example = fields(
        actor=PLATFORM,
        status="awaiting_confirmation",
        tracking_status="delivered",
        at="2026-03-16T10:20:00.000Z",
        shortens_protection=False,
        parcel_id="1",
        parcels=1,
    )

    tracking_status: TrackingStatus = Field(description="where the parcel is")
    at: Instant = Field(description="when that was, as the carrier says")
    shortens_protection: bool = Field(
        default=False, description="`order.protection_shortened` follows in the same moment (R67)"
    )
    parcel_id: ParcelId = FIRST_PARCEL
    parcels: Parcels = 1
