"""A policy: all windows, limits and silence rules of an order as data. A published file is never changed or removed."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.wire import Id, Shape


class Duration(Shape):
    """A day is 24 hours; business days follow the policy's calendar and time zone (R0)."""

    n: Annotated[int, Field(ge=0, le=100_000_000)]
    unit: Literal["seconds", "hours", "days", "business_days"]


class Policy(Shape):
    """The keys of the rule book's §9; each names the rule it feeds in its description."""

    name: Id
    version: Annotated[int, Field(ge=1)]
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="whose holidays business days skip")]
    time_zone: Annotated[str, Field(min_length=1, max_length=64)]
    day: Duration = Field(description="the length of one of the `days` of a command")

    capture: Literal["trusted", "confirmed"] = Field(
        default="trusted", description="R61: is a payment captured because the platform says so, or the payment service"
    )
    payment_window: Duration = Field(
        default=Duration(n=1, unit="days"), description="R61: for the payment service to say so"
    )
    processing: Duration = Field(description="R5b: to ship in")
    max_processing_extensions: Annotated[int, Field(ge=0)] = Field(description="R5b")
    max_extension_days: Annotated[int, Field(ge=1)] = Field(description="R4, R5b: per request")
    protection: Duration = Field(description="R9: from shipping")
    max_protection_days: Annotated[int, Field(ge=1)] = Field(description="R4: from shipping, in all")
    protection_reminder: Duration = Field(description="R4b: before the end of protection")
    release_after_delivery: Duration | None = Field(
        default=None, description="R67: from the report that the parcel was delivered; null: it changes nothing"
    )
    post_expiry_window: Duration = Field(description="R7: after protection ran out")
    post_receipt_window: Duration = Field(description="R7: after the buyer confirmed receipt")

    open_from: Duration = Field(description="R8: from shipping")
    replacement: bool = Field(description="R12: may terms be a replacement")
    disputed_pieces: Literal["whole_line", "named"] = Field(
        default="whole_line", description="R18b, R65: what a dispute over some pieces of a line freezes"
    )
    seller_first_response: Duration = Field(description="C1")
    manual_escalation: Duration | None = Field(description="C1; null: never by hand")
    auto_escalation: Duration = Field(description="C1")
    seller_silence: Literal["refund", "escalate"] = Field(description="C2")
    max_reopens: Annotated[int, Field(ge=0)] | None = Field(description="R30; null: as often as he likes")
    messages_per_day: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="R72: of one party in one dispute; null: as many as he likes"
    )
    return_ship: Duration = Field(description="R51")
    return_confirm: Duration = Field(description="R51")
    replacement_ship: Duration = Field(description="C10")
    replacement_confirm: Duration = Field(description="C10")
    appeals: Annotated[int, Field(ge=0, le=1)] = Field(description="C4, C5")
    appeal_window: Duration = Field(description="C4")

    answer: Duration = Field(description="R40: to answer a mediator's question")
    mediator_due: Duration = Field(description="R48: for the mediator's next act")
    mediation_max: Duration = Field(description="R48: for a whole round")
    mediation_fallback: Literal["buyer_terms", "seller_wins"] = Field(description="R48")
    buyer_silence: Literal["seller_wins", "cancelled"] = Field(description="R40")
    mediation_seller_silence: Literal["decide_on_record", "buyer_wins"] = Field(description="R41")
    unsolicited_evidence: Literal["flag", "refuse"] = Field(description="R58")
    cancel_arbitration: Literal["allowed", "refused"] = Field(description="R44")

    refund_due: Duration = Field(description="R53")

    # What came later has a default that does what was done before.
    free_day_counts_from: Literal["its_instant", "its_end"] = Field(
        "its_instant", description="R78: business days that begin on a free day"
    )
    reminders: bool = Field(False, description="R68: is he reminded whose silence would cost him money")
