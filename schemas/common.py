"""Shapes that several services share."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.wire import Id, Label, Minor, PositiveMinor, Shape, Text

Reason = Literal[
    "not_received",
    "late",
    "wrong_tracking",
    "seller_did_not_ship",
    "not_as_described",
    "wrong_item",
    "wrong_variant",
    "damaged",
    "defective",
    "missing_quantity",
    "counterfeit",
    "empty_parcel",
]
TrackingStatus = Literal["in_transit", "delivered", "returned", "failed"]
Expectation = Literal["reopenable", "released_to_seller", "settled_on_offer"]
Email = Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$")]
Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]

EVIDENCE_BYTES_MAX = 10 * 1024 * 1024
EVIDENCE_FILES_MAX = 20
"""Files one party may show in one stage (R58)."""


class Party(Shape):
    """A buyer or a seller. The e-mail address is for the notification service alone and is never logged."""

    id: Id
    email: Email
    locale: Locale | None = None


class PolicyRef(Shape):
    """Which rules an order lives under, for life."""

    name: Id
    version: Annotated[int, Field(ge=1)]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the policy file")]


class Payment(Shape):
    payment_id: Id
    amount_minor: PositiveMinor


class OrderLine(Shape):
    """`amount_minor` is the money of the whole line, not of one piece."""

    line_id: Id
    title: Label
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    amount_minor: PositiveMinor


class Terms(Shape):
    """What one side proposes. A refund of 0 exactly for `none`, which only the seller offers."""

    kind: Literal["refund", "return_and_refund", "replacement", "none"]
    refund_minor: Minor

    @model_validator(mode="after")
    def _nothing_exactly_for_none(self) -> Self:
        if (self.kind == "none") != (self.refund_minor == 0):
            raise ValueError("refund_minor is 0 exactly for the kind none")
        return self


class Evidence(Shape):
    """A file that lies elsewhere; bytes never travel on the bus (R58)."""

    evidence_id: Id
    kind: Literal["photo", "video", "document", "screenshot", "tracking", "chat"]
    uri: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x20]+$")]
    media_type: Literal["image/jpeg", "image/png", "application/pdf", "video/mp4"]
    size_bytes: Annotated[int, Field(ge=1, le=EVIDENCE_BYTES_MAX)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    note: Text | None = None
    supersedes: Id | None = None


class Offer(Shape):
    """Terms with their number in the dispute; the claim itself is offer 1."""

    offer_id: int
    by: Literal["buyer", "seller"]
    terms: Terms


class FrozenLine(Shape):
    """A line in dispute: the whole of it is frozen, `quantity` bounds the claim (R18b)."""

    line_id: Id
    quantity: Annotated[int, Field(ge=1)]
    amount_minor: PositiveMinor
    released: bool
