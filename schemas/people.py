"""How people are reached: no history, but what is so by now (R74). The topic is the platform's, and forgets."""

from pydantic import Field

from schemas.common import Email, LetterLocale, LetterTimeZone
from schemas.example import fields
from schemas.wire import PersonId, TopicEntry


class Person(TopicEntry):
    """How one person is reached: a buyer, a seller, a mediator. The platform writes it whenever that changes, whole,
    under the person's id; letters go where it says at the moment they are sent, and what it leaves out is taken from
    nowhere else. A record of this key without a value erases him: nobody writes to him any more, and nothing of it
    stays."""

    type = "people.person.v1"
    topic = "people"
    example = fields(person_id="bea", email="bea@example.com", locale="en", time_zone="Europe/Berlin")

    person_id: PersonId = Field(description="the person, as in `actor`; also the record's key")
    email: Email | None = Field(default=None, description="where his letters go; null: he gets none")
    locale: LetterLocale = None
    time_zone: LetterTimeZone = None

    @classmethod
    def erased(cls, key: str) -> "Person":
        return cls(person_id=key)

    @property
    def key(self) -> str:
        return self.person_id
