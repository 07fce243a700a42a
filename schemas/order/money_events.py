"""What it says of money: where it goes back, or would, whose it is now, and the sums in the end."""

from typing import Literal

from pydantic import Field

from schemas.common import DisputeId, EndsAt, RemindedOnly, SettlementId
from schemas.example import REMINDED_TO_SHIP, SELLER, TO_SHIP, fields
from schemas.instants import Instant
from schemas.order.event import OrderEvent
from schemas.order.shapes import CancelledLine, RefundedLine, ReleasedLine, SettledLine
from schemas.wire import Minor, PositiveMinor, Text


class LinesCancelled(OrderEvent):
    """These lines, or what of them is in no parcel yet, will not be shipped and go back to the buyer; the rest of the
    order goes on (R64, R66)."""

    type = "order.lines_cancelled.v1"
    example = fields(
        actor=SELLER,
        status="awaiting_shipment",
        deadlines=TO_SHIP,
        protection_ends_at=None,
        settlement_id="A-1001.s1",
        lines=[{"line_id": "lamp", "refund_minor": 1_250}],
        refund_minor=1_250,
        cause="seller",
        reason="It is sold out.",
    )

    settlement_id: SettlementId
    lines: tuple[CancelledLine, ...]
    refund_minor: Minor = Field(description="the sum of them, in minor units of the order's currency")
    cause: Literal["seller", "operator", "not_shipped"] = Field(
        description="who cancelled them; `not_shipped`: the time to ship ran out (R66)"
    )
    reason: Text | None = Field(default=None, description="in the words of who cancelled them; null: time did")


class LinesRefunded(OrderEvent):
    """Money of lines in escrow goes back to the buyer without a quarrel (R64). What is left of them stays as it is, and
    is the most that can still be claimed."""

    type = "order.refunded.v1"
    example = fields(
        actor=SELLER,
        status="payment_processing",
        deadlines=[],
        settlement_id="A-1001.s1",
        lines=[{"line_id": "lamp", "refund_minor": 250}],
        refund_minor=250,
        by="seller",
        reason="Sorry for the scratch on its foot.",
    )

    settlement_id: SettlementId
    lines: tuple[RefundedLine, ...]
    refund_minor: PositiveMinor = Field(description="the sum of them, in minor units of the order's currency")
    by: Literal["seller", "operator"] = Field(description="who gives it back")
    reason: Text = Field(description="in his own words")


class LinesReleased(OrderEvent):
    """`release_minor`, the sum of `lines`, is the seller's now: it is paid to him, but for `commission_minor` (R69)."""

    type = "order.lines_released.v1"
    example = fields(
        status="completed",
        deadlines=[],
        settlement_id="A-1001.s1",
        lines=[{"line_id": "lamp", "amount_minor": 1_250}],
        release_minor=1_250,
        commission_minor=62,
        final=True,
        cause="dispute_cancelled",
        dispute_id="A-1001.d1",
    )

    settlement_id: SettlementId
    lines: tuple[ReleasedLine, ...]
    release_minor: Minor = Field(description="to move now, in minor units of the order's currency")
    commission_minor: Minor = Field(default=0, description="of that, the platform's: the rest is the payout (R69)")
    final: bool = Field(description="these lines can never be disputed again (R31, R44)")
    cause: Literal["receipt_confirmed", "protection_ended", "dispute_cancelled", "arbitration_cancelled"] = Field(
        description="R6, R2, R31, R44, in this order"
    )
    dispute_id: DisputeId | None = Field(default=None, description="the one that was cancelled; null: none was")


class Settled(OrderEvent):
    """How a dispute split its lines, line by line, and what is to move now (R7, R18b)."""

    type = "order.settled.v1"
    example = fields(
        status="payment_processing",
        deadlines=[],
        settlement_id="A-1001.s1",
        dispute_id="A-1001.d1",
        refund_minor=900,
        release_minor=350,
        lines=[{"line_id": "lamp", "refund_minor": 900, "release_minor": 350}],
        payout_minor=350,
        chargeback_minor=0,
        commission_minor=0,
        commission_returned_minor=0,
    )

    settlement_id: SettlementId
    dispute_id: DisputeId
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    release_minor: Minor = Field(description="to the seller, in minor units of the order's currency")
    lines: tuple[SettledLine, ...]
    payout_minor: Minor = Field(
        description="from escrow to the seller now: his part of the lines that were held, less `commission_minor`"
    )
    chargeback_minor: Minor = Field(
        description="from the seller's balance now: the refund of lines released before, less "
        "`commission_returned_minor`"
    )
    commission_minor: Minor = Field(default=0, description="from escrow to the platform now (R69)")
    commission_returned_minor: Minor = Field(
        default=0, description="from the platform to escrow now: its part of what was released before (R69)"
    )


class Completed(OrderEvent):
    """Nothing is held, disputed or being refunded. Totals of the order so far; a claim under R7 may reopen it."""

    type = "order.completed.v1"
    example = fields(
        status="completed",
        deadlines=[],
        refund_minor=900,
        release_minor=350,
        commission_minor=0,
        disputable_until="2026-05-18T15:30:00.000Z",
    )

    refund_minor: Minor = Field(description="to the buyer so far, in minor units of the order's currency")
    release_minor: Minor = Field(description="to the seller so far, in minor units of the order's currency")
    commission_minor: Minor = Field(default=0, description="of `release_minor`, the platform's so far (R69)")
    disputable_until: Instant | None = Field(
        default=None, description="what was released may be disputed until then (R7), past or not; null: nothing may be"
    )


class OrderReminded(OrderEvent):
    """The seller has not shipped everything yet, and his time runs out (R68). Said once of each end that it has; if he
    does nothing, what is not shipped is cancelled then and the buyer gets back all that is left of it (R5b, R66)."""

    type = "order.reminded.v1"
    example = fields(
        status="awaiting_shipment",
        deadlines=REMINDED_TO_SHIP,
        protection_ends_at=None,
        clock="processing_ends",
        to="seller",
        ends_at="2026-03-09T09:00:00.000Z",
        otherwise="cancelled",
        refund_minor=1_250,
        release_minor=0,
        visible_to=["seller", "mediator", "operator"],
    )

    clock: Literal["processing_ends"] = Field(description="which of his clocks runs out")
    to: Literal["seller"] = Field(description="who is reminded: his silence would cost him")
    ends_at: EndsAt
    otherwise: Literal["cancelled", "lines_cancelled"] = Field(
        description="what happens then if he does nothing: the order is cancelled, or what is in no parcel (R66)"
    )
    refund_minor: Minor = Field(description="goes then to the buyer, in minor units of the order's currency")
    release_minor: Minor = Field(description="goes then to the seller, in minor units of the order's currency")
    visible_to: RemindedOnly
