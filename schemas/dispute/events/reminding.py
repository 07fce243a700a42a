"""That somebody's time in a dispute runs out (R68)."""

from typing import Literal

from pydantic import Field

from schemas.common import EndsAt, RemindedOnly
from schemas.dispute.events.claim import DisputeEvent
from schemas.dispute.shapes import Side
from schemas.example import REMINDED_TO_ANSWER, fields
from schemas.wire import Minor


class DisputeReminded(DisputeEvent):
    """A party has not acted yet, and his time runs out (R68). Said once of each end that a clock has, one event for
    each who is reminded."""

    type = "dispute.reminded.v1"
    example = fields(
        status="awaiting_seller",
        deadlines=REMINDED_TO_ANSWER,
        clock="seller_first_response",
        to="seller",
        ends_at="2026-04-04T18:45:10.250Z",
        otherwise="settled",
        refund_minor=900,
        release_minor=350,
        visible_to=["seller", "mediator", "operator"],
    )

    clock: Literal[
        "seller_first_response",
        "return_ship",
        "return_confirm",
        "replacement_ship",
        "replacement_confirm",
        "appeal_window",
    ] = Field(description="which clock runs out")
    to: Side = Field(description="who is reminded: his silence would cost him")
    ends_at: EndsAt
    otherwise: Literal["settled", "return_awaited", "replacement_awaited", "escalated"] = Field(
        description="what happens then if he does nothing: the money is split, or first the goods are sent back, or a "
        "replacement is sent; or it goes to mediation, and nothing is decided by it"
    )
    refund_minor: Minor | None = Field(
        description="goes then to the buyer (of a replacement: if none is sent), in minor units of the order's "
        "currency; null: nothing is decided by it"
    )
    release_minor: Minor | None = Field(
        description="goes then to the seller: the rest of the disputed lines; null: nothing is decided by it"
    )
    visible_to: RemindedOnly
