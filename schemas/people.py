"""How people are reached: no history, but what is so by now (R74). The topic is the platform's, and forgets."""

from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.common import Email, LetterLocale, LetterTimeZone, WebhookUrl
from schemas.example import fields
from schemas.wire import Id, PersonId, Shape, TopicEntry

OWN_WEBHOOKS_MAX = 5


class OwnWebhook(Shape):
    """An endpoint of a person's own. What it is signed by follows from his id and this one's (docs/RULES.md §7): no
    secret lies here."""

    endpoint_id: Id = Field(description="names it among his; what was told there is known by it")
    url: WebhookUrl = Field(
        description="where it is, by https (http for the very machine that sends), without user and fragment; what is "
        "not on the public net gets nothing"
    )


def _once_each(webhooks: tuple[OwnWebhook, ...]) -> tuple[OwnWebhook, ...]:
    if len({one.endpoint_id for one in webhooks}) < len(webhooks):
        raise ValueError("two webhooks of one endpoint_id")
    return webhooks


class Person(TopicEntry):
    """How one person is reached: a buyer, a seller, a mediator. The platform writes it whenever that changes, whole,
    under the person's id; letters and his own webhooks go where it says at the moment they are sent, and what it leaves
    out is taken from nowhere else. A record of this key without a value erases him: nobody writes to him any more, and
    nothing of it stays."""

    type = "people.person.v1"
    topic = "people"
    example = fields(
        person_id="bea",
        email="bea@example.com",
        locale="en",
        time_zone="Europe/Berlin",
        webhooks=[{"endpoint_id": "shelf", "url": "https://bea.example.com/hooks"}],
    )

    person_id: PersonId = Field(description="the person, as in `actor`; also the record's key")
    email: Email | None = Field(default=None, description="where his letters go; null: he gets none")
    locale: LetterLocale = None
    time_zone: LetterTimeZone = None
    webhooks: Annotated[tuple[OwnWebhook, ...], Field(max_length=OWN_WEBHOOKS_MAX), AfterValidator(_once_each)] = Field(
        default=(),
        description="his own endpoints, no `endpoint_id` twice: each is told all that he is told, where that is set up",
    )

    @classmethod
    def erased(cls, key: str) -> "Person":
        return cls(person_id=key)

    @property
    def key(self) -> str:
        return self.person_id
