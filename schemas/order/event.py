"""What every event of it says."""

from typing import Annotated

from pydantic import Field

from schemas.example import PROTECTED, fields
from schemas.instants import Instant
from schemas.order.shapes import OrderClocks, OrderStatus
from schemas.wire import STAMPED, Event

Status = Annotated[OrderStatus, Field(description="where the order stands after it")]
StatusIfAny = Annotated[OrderStatus | None, Field(description="where the order stands; null: there is no such order")]
ProtectionEndsAt = Annotated[Instant | None, Field(description="null: it is not shipped (R3)")]
DisputableUntil = Annotated[Instant, Field(description="the last moment to dispute, itself included (C8)")]


class OrderEvent(Event):
    """`status`, `protection_ends_at` and `deadlines` are on every event: where the order stands after it (R3, R83)."""

    topic = "order.events"
    example = fields(protection_ends_at="2026-05-03T15:30:00.000Z", deadlines=PROTECTED)

    status: Status = STAMPED
    protection_ends_at: ProtectionEndsAt = STAMPED
    deadlines: OrderClocks = None
