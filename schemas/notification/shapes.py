"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.wire import Currency, Id, Label, PersonId, Shape

Channel = Literal["email", "webhook", "topic"]
"""`webhook`: the platform's own systems are told what the recipient is told, or an endpoint of his own is (R74).
`topic`: the published event itself is how the recipient is reached, by whoever reads it."""

RecipientRole = Literal["buyer", "seller", "mediator"]

Problem = Literal["unreachable", "refused", "bad_address", "unwritable", "no_address"]
"""No server, or not in time; it said no; an address nothing can or may go to; words that could not be written; nobody
has said where to, or he is erased (R74)."""

Attempts = Annotated[int, Field(ge=1, description="made so far, this one too")]

DeliveryId = Annotated[
    Id,
    Field(
        description="the same for the same event, recipient and channel, or endpoint of his own; a webhook carries it "
        "as `webhook-id`, an e-mail in its `Message-ID`"
    ),
]

SentBy = Annotated[Channel, Field(description="`topic`: this very event is how he is told, by whoever reads it")]

OwnEndpointId = Annotated[
    Id | None,
    Field(
        description="of the channel `webhook`: which of the recipient's own (`people`, R74); none said: the platform's",
        exclude_if=lambda endpoint_id: endpoint_id is None,
    ),
]
"""Said only of people's own webhooks: of all others is said what always was."""


class Recipient(Shape):
    """Whom it is told."""

    role: RecipientRole = Field(description="as whom he hears of the order")
    id: PersonId = Field(description="the person, as in `actor`")


class ToldRecipient(Recipient):
    """Whom it was told, and by which delivery: who is told by several has an entry for each."""

    delivery_id: DeliveryId
    channel: SentBy
    attempts: Attempts
    endpoint_id: OwnEndpointId = None


class Purchase(Shape):
    """By what a person recognises his order."""

    currency: Currency
    title: Label = Field(description="of its first line")
    lines: Annotated[int, Field(ge=1, description="how many it has")]
