"""What a service is: pure functions over the events of one stream, with a type for each axis.

`decide` answers a command, `react` hears an event of another service or an own input, `expire` says what a deadline
brings about when nothing happened first; `evolve` folds what was said. No clock, no ids, no I/O: an exception in a
decision is a bug and parks its stream.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from schemas.wire import (
    Actor,
    Code,
    Command,
    Event,
    Message,
    Rejected,
    Repeated,
    Resume,
    Resumed,
    TopicEntry,
)
from shared.kernel.policies import Policies
from shared.kernel.ports import Input

S = TypeVar("S")
C = TypeVar("C", bound=Command)
E = TypeVar("E")
N_co = TypeVar("N_co", bound=str, covariant=True)


class Deadline(NamedTuple, Generic[N_co]):
    """An instant held in a state: if nothing happens first, it changes something."""

    name: N_co
    subject: str
    """What it belongs to: the order, a dispute, a question, a movement of money."""
    due_at: datetime


def in_order(deadlines: Iterable[Deadline[N_co]], names: Sequence[str]) -> list[Deadline[N_co]]:
    """As they will happen, the earliest first; those of one instant as `names` has them."""
    return sorted(deadlines, key=lambda one: _turn(one, names))


def _turn(deadline: Deadline[str], names: Sequence[str]) -> tuple[datetime, int, str]:
    return deadline.due_at, names.index(deadline.name), deadline.subject


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to a command, never an exception: `code` for machines, `message` for people."""

    code: Code
    message: str
    details: Mapping[str, Any] | None = None


def role_may(command: Command) -> Refusal | None:
    """Whether somebody in this role may utter it at all."""
    if command.actor.role in command.by:
        return None
    return Refusal("not_allowed", f"A {command.actor.role} cannot do this.")


@dataclass(frozen=True, slots=True)
class RefusedOnArrival:
    """A command that is refused before any rule is asked: it says what cannot be, or lies where it does not belong."""

    refusal: Refusal
    actor: Actor | None


@dataclass(frozen=True, slots=True)
class Send:
    """A message for a topic other than its own."""

    message: Message
    topic: str


@dataclass(frozen=True, slots=True)
class Call:
    """A question to the outside whose `ce_id` follows from its name in its stream, not from what brought it about: an
    answer names it, and so is known for an answer to this one (`call_id`). No name is used twice in a stream."""

    message: Command
    name: str


def call_id(service: str, stream_id: str, name: str) -> str:
    return blake2b(f"call|{service}|{stream_id}|{name}".encode(), digest_size=16).hexdigest()


Output = Event | Command | Refusal | Send | Call


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A word of the timer service, neither believed nor deduplicated: it only wakes (R0)."""


def never_asked(*_: object) -> NoReturn:
    """For what a service has none of: commands, deadlines."""
    raise AssertionError("this service is not asked that")


def stateless(state: None, event: Event) -> None:
    """`evolve` of a service that folds and loads nothing; repeats are known by their source's sequence alone."""


@dataclass(frozen=True)
class Decider(Generic[S, C, E]):
    """The pure heart of a service. State is None until the first event of the stream.

    Raises TypeError where a state can yield a deadline that `deadline_names` lacks, and where what is obeyed in silence
    would change a state, of which the events are all there is.
    """

    service: str
    """By which its topics are named."""
    evolve: Callable[[S | None, Event], S | None]
    """(state, own event) -> next state. Never raises and never refuses: it has happened."""
    rejected: type[Rejected] = Rejected
    """What a refused command is told; as it stands for who takes none."""
    repeated: type[Repeated] | None = None
    """What a command that came before is told; None: nothing, or nobody knows that it did (a stateless service)."""
    commands: tuple[type[C], ...] = ()
    """All that its inbox takes, but for the operator's `resume`."""
    decide: Callable[[S | None, C, datetime, Policies], Sequence[Output]] = never_asked
    """(state, command, its time, policies) -> what is said, in order; at least one thing, but to a silent command."""
    subscriptions: tuple[type[Event], ...] = ()
    """Events of other services that are inputs here."""
    between_streams: tuple[tuple[str, type[Command]], ...] = ()
    """(topic, what its streams tell each other there): a topic that this service alone writes and reads, so what lies
    there is believed; heard like an event of another service, not answered like a command."""
    entries: tuple[type[TopicEntry], ...] = ()
    """What its projections keep of compacted topics, which nothing is decided by."""
    follows: tuple[str, ...] = ()
    """Topics of which its projections are given every record as it lies (`Followed`)."""
    react: Callable[[S | None, E, datetime, Policies], Sequence[Output]] = never_asked
    """(state, what was heard, its time, policies) -> what is said, perhaps nothing."""
    identify: Callable[[Input], Any] = lambda found: found.payload
    """What was heard -> what `react` is given of it: for who has to tell two events of the very same content and moment
    apart, or which of his questions one answers."""
    own_inputs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What it gives itself, by the type of the input: the shape that `react` is given, as pydantic reads it."""
    deadlines: Callable[[S | None], Iterable[Deadline[str]]] = lambda state: ()
    """Every instant at which this state changes if nothing happens first."""
    deadline_names: tuple[str, ...] = ()
    """Deadlines of the same instant happen in this order (docs/RULES.md, timer service)."""
    expire: Callable[[S | None, Deadline[Any], datetime, Policies], Sequence[Output]] = never_asked
    """(state, a deadline it holds, the time of the input that found it overdue, policies) -> what it brings about."""
    stamp: Callable[[S | None, Event], Mapping[str, Any]] = lambda state, event: {}
    """(state after the event, event) -> the STAMPED fields of the service's family of events."""
    acts_max: int = 10_000
    """So many commands of one role are obeyed in one stream, however old it grows; operators' are not counted."""
    resume: type[Resume] | None = None
    """How operators let a parked stream go on; None: only a new process tries it."""
    resumed: type[Resumed] | None = None
    """What is said when it goes on."""

    def __post_init__(self) -> None:
        if unlisted := sorted(_yielded(self.deadlines) - set(self.deadline_names)):
            raise TypeError(
                f"a state of {self.service} can yield the deadline {unlisted[0]}: "
                "name it in deadline_names, where the rule book says when it happens among those of the same instant"
            )
        if silent := [command.type for command in self.commands if command.is_silent and not self.is_stateless]:
            raise TypeError(f"{silent[0]} is obeyed in silence, and {self.service} folds its state from what is said")

    @property
    def is_stateless(self) -> bool:
        return self.evolve is stateless

    @property
    def inbox(self) -> tuple[type[Command], ...]:
        """Every command it takes."""
        return (*self.commands, self.resume) if self.resume else self.commands

    def earliest(self, state: S | None) -> Deadline[str] | None:
        """The deadline that happens first; of those at one instant the one the rule book names first."""
        return min(self.deadlines(state), key=lambda one: _turn(one, self.deadline_names), default=None)


def _yielded(deadlines: Callable[..., Any]) -> set[str]:
    """The names in `-> Iterable[Deadline[Literal[...]]]`: all that the type checker lets it yield."""
    hint = get_type_hints(deadlines).get("return")
    return {name for inner in get_args(hint) if get_origin(inner) is Deadline for name in get_args(_literal(inner))}


def _literal(deadline: Any) -> Any:
    (names,) = get_args(deadline)
    return names if get_origin(names) is Literal else None
