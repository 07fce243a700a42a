"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.wire import Currency, Label, PersonId, Shape

Channel = Literal["email", "webhook", "topic"]
"""`webhook`: the platform's own systems are told what the recipient is told, or an endpoint of his own is (R74).
`topic`: the published event itself is how the recipient is reached, by whoever reads it."""

RecipientRole = Literal["buyer", "seller", "mediator"]

Problem = Literal["unreachable", "refused", "bad_address", "unwritable", "no_address"]
"""No server, or not in time; it said no; an address nothing can or may go to; words that could not be written; nobody
has said where to, or he is erased (R74)."""

Attempts = Annotated[int, Field(ge=1, description="made so far, this one too")]


class Recipient(Shape):
    """Whom it is told."""

    role: RecipientRole = Field(description="as whom he hears of the order")
    id: PersonId = Field(description="the person, as in `actor`")


class Purchase(Shape):
    """By what a person recognises his order."""

    currency: Currency
    title: Label = Field(description="of its first line")
    lines: Annotated[int, Field(ge=1, description="how many it has")]
