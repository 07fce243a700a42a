"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import CLOCKS, ClockEndsAt, Email, LetterLocale, MediatorId
from schemas.instants import Instant
from schemas.wire import Id, Shape

MediationStatus = Literal["processing", "waiting_buyer", "waiting_seller", "waiting_both", "decided", "closed"]

MediationDeadline = Literal["answer", "mediator_due", "mediation_max", "answer_reminder"]
"""Those of one instant happen in this order (§8)."""

MediatorEmail = Annotated[Email | None, Field(description="where his letters go, unless `people` knows him (R74)")]


class Mediator(Shape):
    """Who sits in a round. The e-mail address is for the notification service alone and is never logged."""

    id: MediatorId
    email: MediatorEmail = None
    locale: LetterLocale = None


class MediationClock(Shape):
    """A deadline of a case that runs."""

    name: MediationDeadline = Field(
        description="what happens then. `answer`, one for each open question: who is silent bears the consequence "
        "(R40, R41); `answer_reminder`, likewise: who has not answered is reminded (R68); `mediator_due`: another "
        "mediator is looked for (R48); `mediation_max`: the round ends by itself (R48)"
    )
    at: ClockEndsAt


MediationClocks = Annotated[tuple[MediationClock, ...] | None, Field(description=CLOCKS)]

QuestionId = Annotated[Id, Field(description="of a question, as the mediator chose it")]
Asked = Annotated[Literal["buyer", "seller", "both"], Field(description="who must answer")]

DueBy = Annotated[Instant | None, Field(description="the mediator's next act; null while the parties are asked (R48)")]
