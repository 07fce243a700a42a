"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import Email, Locale
from schemas.wire import Id, Instant, Shape

MediationStatus = Literal["processing", "waiting_buyer", "waiting_seller", "waiting_both", "decided", "closed"]


class Mediator(Shape):
    """Who sits in a round. The e-mail address is for the notification service alone and is never logged."""

    id: Id
    email: Email | None = None
    locale: Locale | None = None


DueBy = Annotated[Instant | None, Field(description="the mediator's next act; null while the parties are asked (R48)")]
