"""What every message on the bus is made of: exact values, strict models, one hand-written wire type each.

Money is integer minor units, instants are RFC 3339 UTC with milliseconds, unknown fields are refused in
commands and ignored in events. Nothing here coerces: a float, a number in quotes or a date without a zone is an error.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from schemas.instants import Instant

MEDIATORS_KEY = "mediators"
"""The one record key that is not an order: the roster of mediators is a stream of its own."""

MINOR_MAX = 10**12
TEXT_MAX = 4_000
STAMPED: Any = Field(default=None, json_schema_extra={"x-stamped": True})
"""Default of a field that the runtime fills in from the state an event leads to; a decision leaves it out.

Readers find it on every event: the published schema says that it is required."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
PersonId = Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,128}$")]
"""As the platform's own accounts are called: `auth0|5f7c8ec7`, an address, base64, a URN (R75)."""
Minor = Annotated[int, Field(ge=0, le=MINOR_MAX, description="integer minor units of the order's currency")]
PositiveMinor = Annotated[int, Field(ge=1, le=MINOR_MAX, description="integer minor units of the order's currency")]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00]*$")]
Label = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]


Role = Literal["buyer", "seller", "mediator", "operator", "platform"]
Service = Literal["order", "dispute", "mediation", "refund", "notification", "timer"]
Code = Literal[
    "key_mismatch",
    "idempotency_conflict",
    "invalid",
    "not_found",
    "already_exists",
    "not_allowed",
    "too_early",
    "too_late",
    "wrong_state",
    "already_disputed",
    "limit_exceeded",
    "amount_exceeds",
    "offer_superseded",
    "consequence_changed",
]
"""Why a command was refused, in order of precedence: the first that applies is the answer."""

RefusalCode = Annotated[
    Code, Field(description="why, for programs: of all that apply the first in the order given here")
]
RefusalMessage = Annotated[str, Field(description="why, for people; its words may change")]
DETAILS = (
    "what to do about it, by `code`: `available_at` (too_early, limit_exceeded), `lost_at` (too_late), `max_minor` "
    "(amount_exceeds), `max_days` (limit_exceeded), `offer` (offer_superseded: the open one), "
    "`actual` (consequence_changed)"
)


class Shape(BaseModel):
    """A part of a message: exact, immutable, without surprises."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # it may be an address
        defer_build=True,  # of all messages a process reads and writes a part: each is made ready when it is first met
    )


class Actor(Shape):
    """Who acts. A gateway has authenticated him and vouches for it."""

    role: Role = Field(description="as whom he acts: `x-by` of a command names the roles that may")
    id: PersonId = Field(description="the person; checked against the buyer, the seller and the mediator of the order")


class Message(Shape):
    """One record on the bus (or, without a topic, one private row of a service's stream; a bell goes where it is sent).

    `type` is a stored name: it is written by hand, never derived, and never changes its meaning. `example` holds what
    schemas/example.py says about it.
    """

    type: ClassVar[str]
    topic: ClassVar[str | None] = None
    example: ClassVar[Mapping[str, Any]] = {"order_id": "A-1001"}
    MODELS: ClassVar[dict[str, "AnyMessage"]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "type" not in cls.__dict__:
            return  # a family of messages, not one of them
        if cls.MODELS.setdefault(cls.type, cls) is not cls:
            raise TypeError(f"two models for the wire type {cls.type}")

    @classmethod
    def read(cls, data: bytes | str) -> Self:
        """What one of our services wrote, perhaps a newer one: unknown fields are ignored, at every depth."""
        return cls.model_validate_json(data, extra="ignore")

    @property
    def key(self) -> str:
        """The record key."""
        raise NotImplementedError


class TopicEntry(Message):
    """What is so by now of whatever its key names, on a compacted topic: the newest of a key counts, and an empty
    record erases it. No word of a story: a service keeps it in a table and decides nothing by it."""

    @classmethod
    def erased(cls, key: str) -> Self:
        """What an empty record says. Raises ValidationError for a key that names nothing."""
        raise NotImplementedError


class OrderMessage(Message):
    """About one order, in whose stream it is kept."""

    order_id: Id = Field(description="the order it is about")

    @property
    def key(self) -> str:
        """Always the order, but for the roster of mediators."""
        return self.order_id


class Command(OrderMessage):
    """A wish: obeyed or refused, answered either way, but where it is obeyed in silence.

    What is published of it besides its shape (schemas/acts.py) is said here; tests/domain/test_acts.py holds it true.
    """

    by: ClassVar[frozenset[Role]] = frozenset()
    """The roles that may utter it."""
    states: ClassVar[tuple[str | None, ...] | None] = None
    """Where it can be obeyed: by what its service tells of what it is about, None where that is not there yet. None
    instead of them all: that is told of nothing that it is about."""
    clock: ClassVar[str | None] = None
    """The deadline behind which it is `too_late`."""
    pending: ClassVar[tuple["type[Event]", ...]] = ()
    """Answers that leave open what becomes of it: another follows, which is final and names it (`command_id`)."""
    answers: ClassVar[tuple["type[Event]", ...]] = ()
    """Where it is obeyed one of these is said, which is final."""
    is_silent: ClassVar[bool] = False
    """Obeyed without a word: it is the record itself, what follows stands in a table. A refusal is said."""

    actor: Actor


class Event(OrderMessage):
    """A fact. Written by our services alone, so readers ignore what they do not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    example: ClassVar[Mapping[str, Any]] = {"actor": None}
    is_snapshot: ClassVar[bool] = False
    """It holds the whole state of its stream: of what was said before it nothing is loaded any more."""

    order_id: Annotated[Id, Field(description="the order it is about")] = STAMPED
    actor: Annotated[
        Actor | None,
        Field(description="who gave the command that it follows from; null: a deadline or another event brought it"),
    ] = STAMPED

    def completed(self, stamps: Mapping[str, Any]) -> Self:
        """A copy with these fields, unchecked; what was decided stays as it is, for a state may hold it. `model_copy`
        takes three times as long, and every event there is passes here."""
        put = object.__setattr__  # it is frozen for everybody else
        copy = self.__class__.__new__(self.__class__)
        put(copy, "__dict__", {**self.__dict__, **stamps})
        put(copy, "__pydantic_fields_set__", {*self.__pydantic_fields_set__, *stamps})
        put(copy, "__pydantic_extra__", None)
        put(copy, "__pydantic_private__", None)
        return copy


class PrivateEvent(Event):
    """A fact that changes the state of one service and concerns nobody else: stored, not published."""


def snapshots() -> list[str]:
    """The wire types of the events that hold the whole state of their stream."""
    return [type_ for type_, model in Message.MODELS.items() if issubclass(model, Event) and model.is_snapshot]


class Reply(Event):
    """An answer for whoever asked: it is no history and changes no state."""


class Rejected(Reply):
    """The refusal of a command."""

    example: ClassVar[Mapping[str, Any]] = {
        "command_id": "b1f0c2d4",
        "code": "too_late",
        "message": "The time to do this is over.",
        "details": {"lost_at": "2026-05-03T15:30:00.000Z"},
    }

    order_id: Annotated[str, Field(description="the refused record's key, whatever that was")] = STAMPED
    refused: str = Field(description="the wire type of the refused command")
    command_id: str = Field(description="`ce_id` of the refused command")
    code: RefusalCode
    message: RefusalMessage
    details: Annotated[Mapping[str, Any] | None, Field(description=DETAILS)] = None


class Resume(Command):
    """An operator's wish, once the cause is mended: what waits of a parked order is handled, in its order.

    A record whose handling failed parks its order: it and all later ones of that order wait.
    """

    by = frozenset({"operator"})


class Resumed(Reply):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""


class Repeated(Reply):
    """A command came again: the same id and content, by the same actor. It had its effect the first time."""

    example: ClassVar[Mapping[str, Any]] = {
        "command_id": "b1f0c2d4",
        "answer_id": "3f0f0f1f9b7d4d0c8a1e5a7a0e8e9c11",
        "answered_at": "2026-04-04T18:45:10.250Z",
    }

    order_id: Annotated[str, Field(description="the record's key, whatever that was")] = STAMPED
    command_id: str = Field(description="`ce_id` of the command")
    answer_id: str = Field(description="`ce_id` of the first event of its answer")
    answer_type: str = Field(description="and the wire type of that")
    answered_at: Instant = Field(description="when the command came first: `ce_time` of its answer")


AnyMessage = type[Message]
