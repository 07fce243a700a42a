"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import Email, LetterLocale, MediatorId
from schemas.instants import Instant
from schemas.wire import Id, Shape

MediationStatus = Literal["processing", "waiting_buyer", "waiting_seller", "waiting_both", "decided", "closed"]


MediatorEmail = Annotated[Email | None, Field(description="where his letters go, unless `people` knows him (R74)")]


class Mediator(Shape):
    """Who sits in a round. The e-mail address is for the notification service alone and is never logged."""

    id: MediatorId
    email: MediatorEmail = None
    locale: LetterLocale = None


QuestionId = Annotated[Id, Field(description="of a question, as the mediator chose it")]
Asked = Annotated[Literal["buyer", "seller", "both"], Field(description="who must answer")]

DueBy = Annotated[Instant | None, Field(description="the mediator's next act; null while the parties are asked (R48)")]
