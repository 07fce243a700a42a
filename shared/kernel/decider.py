"""The kernel: what a service decides, and how one input turns its order's stream into the next.

A service is a `Decider`: pure functions over the events of one order. `handle` is all there is between a decoded record
and the rows to commit: the law of time (R0), one answer per command, one alarm per order. No clock, no ids, no I/O.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from schemas.timer.commands import Schedule
from schemas.wire import Actor, Code, Command, Event, Message, PrivateEvent, Rejected, Resume, Resumed, Service
from shared.rules.policies import Policies

S = TypeVar("S")

EARLY_BELL_DELAY = timedelta(seconds=1)
DEADLINES_AT_ONCE_MAX = 1_000
"""More overdue deadlines than this under one order is a decider that does not let go of them: a bug."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant held in a state: if nothing happens first, it changes something. Also the input that says it has."""

    name: str
    subject: str
    """What it belongs to: the order, a dispute, a question, a movement of money."""
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to a command, never an exception: `code` for machines, `message` for people."""

    code: Code
    message: str
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """A message for a topic other than its own."""

    message: Message
    topic: str


Output = Event | Command | Refusal | Send


@dataclass(frozen=True, slots=True)
class Bell:
    """A ring of the timer service, neither believed nor deduplicated: it only wakes (R0)."""


@dataclass(frozen=True)
class Decider(Generic[S]):
    """The pure heart of a service. State is None until the first event of the order."""

    service: Service
    decide: Callable[[S | None, Any, datetime, Policies], Sequence[Output]]
    """(state, input, time, policies) -> what is said, in order. An exception is a bug and parks the order."""
    evolve: Callable[[S | None, Any], S | None]
    """(state, own event) -> next state. Never raises and never refuses: it has happened."""
    deadlines: Callable[[S | None], Iterable[Deadline]]
    """Every instant at which this state changes if nothing happens first."""
    rejected: type[Rejected]
    resumed: type[Resumed] = Resumed
    """How it says that an order is parked no more; only whose inbox operators write is ever asked."""
    hears: tuple[type[Event], ...] = ()
    """Events of other services that are inputs here."""
    stamp: Callable[[S | None, Any], Mapping[str, Any]] = lambda state, event: {}
    """(state after the event, event) -> the STAMPED fields of the service's family of events."""
    identify: Callable[[Any, str], Any] = lambda heard, ce_id: heard
    """(what is no command, its `ce_id`) -> the input to decide on: for who has to tell two events of the very same
    content and moment apart."""
    deadline_names: tuple[str, ...] = ()
    """Deadlines of the same instant happen in this order (docs/RULES.md, timer service)."""
    stateless: bool = False
    """Nothing is folded or loaded; repeats are known by their source's sequence alone."""


@dataclass(slots=True)
class Stream(Generic[S]):
    """One order as one service sees it: folded from the service's own events for it."""

    order_id: str
    state: S | None = None
    alarm: datetime | None = None
    """The instant for which the timer service was last asked to ring, None after any bell."""
    answered: dict[str, set[bytes]] = field(default_factory=dict)
    """Command id -> digests of the bodies answered under it."""
    correlation_id: str | None = None
    """Of the command that began the stream; what deadlines bring about belongs to the same story."""


@dataclass(frozen=True, slots=True)
class Input:
    """One record, decoded. `own`: it came through the service's own inbox, on its own partition, so its time counts."""

    heard: Any
    """A Command, an Event of another service, a Bell, a Refusal found while decoding, or a service's own input."""
    type: str
    order_id: str
    id: str
    time: datetime
    correlation_id: str
    own: bool = False
    digest: bytes | None = None
    """Of a command's type and data: with its id, what makes a repeat a repeat. Of an outsider's event, or a bell: what
    tells it from another one of the same id, its place."""
    actor: Actor | None = None
    traceparent: str | None = None
    waited: bool = False
    """It was parked with its order, and now the order goes on."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message decided on, ready to be stored: `topic` None stays private."""

    message: Message
    topic: str | None
    id: str
    causation_id: str
    correlation_id: str
    command_id: str | None = None
    digest: bytes | None = None


CONFLICT = Refusal("idempotency_conflict", "this command id was used before, with another content")
NOT_PARKED = Refusal("wrong_state", "Nothing of this order waits here.")


class AlarmRung(PrivateEvent):
    """A bell came and nothing is left to ring for: the next deadline needs an alarm of its own."""

    type = "alarm.rung.v1"


def may_resume(heard: Any) -> bool:
    """Whether it is a wish to let a parked order go on, of somebody who may have it."""
    return isinstance(heard, Resume) and heard.actor.role in heard.by


def earliest(decider: Decider[S], state: S | None) -> Deadline | None:
    """The deadline that happens first; of those at one instant the one the rule book names first."""

    def order(deadline: Deadline) -> tuple[datetime, int, str]:
        return deadline.due_at, decider.deadline_names.index(deadline.name), deadline.subject

    deadlines = list(decider.deadlines(state))
    return min(deadlines, key=order) if len(deadlines) > 1 else next(iter(deadlines), None)


class _Turn(Generic[S]):
    """What one input makes of one order; the stream itself is untouched until the turn is over."""

    def __init__(self, decider: Decider[S], stream: Stream[S], record: Input, policies: Policies) -> None:
        self.decider, self.record, self.policies = decider, record, policies
        self.state = stream.state
        self.correlation_id = stream.correlation_id or record.correlation_id
        self.said: list[Said] = []

    @property
    def this_time(self) -> bytes:
        """What tells the record from another one of its id: a bell that came twice, a command said again."""
        return self.record.time.isoformat().encode() + (self.record.digest or b"")

    def ask(self, heard: Any, cause: str, unique: bytes = b"", actor: Actor | None = None) -> None:
        """Decides on `heard` and says the outcome; same cause, same ids."""
        outputs = self.decider.decide(self.state, heard, self.record.time, self.policies)
        self.say(outputs, cause, unique, actor)

    def say(self, outputs: Sequence[Output], cause: str, unique: bytes = b"", actor: Actor | None = None) -> None:
        seed = blake2b(f"{self.decider.service}|{self.record.order_id}|{cause}|".encode() + unique, digest_size=16)
        for number, output in enumerate(outputs):
            topic, message = (output.topic, output.message) if isinstance(output, Send) else (None, output)
            if isinstance(message, Refusal):
                message = self._rejection(message)
            if isinstance(message, Event):
                message = self._fold(message, actor)
            id_ = seed.copy()
            id_.update(str(number).encode())
            self.said.append(Said(message, topic or message.topic, id_.hexdigest(), cause, self.correlation_id))

    def _rejection(self, refusal: Refusal) -> Rejected:
        """Names what the command was about, as far as it could be read: its dispute, its timer."""
        model, wish = self.decider.rejected, self.record.heard
        names = [name for name in model.model_fields.keys() - Rejected.model_fields.keys() if name.endswith("_id")]
        about: dict[str, Any] = {name: getattr(wish, name, None) for name in names}
        return model(
            **about,
            refused=self.record.type,
            command_id=self.record.id,
            code=refusal.code,
            message=refusal.message,
            details=refusal.details,
        )

    def _fold(self, event: Event, actor: Actor | None) -> Event:
        event = event.model_copy(update={"order_id": self.record.order_id, "actor": actor})
        if not isinstance(event, Rejected | Resumed):
            self.state = self.decider.evolve(self.state, event)
        return event.model_copy(update=dict(self.decider.stamp(self.state, event)))

    def pass_deadlines(self) -> None:
        """What is overdue has happened before this record, the earliest first (R0). Its cause is its own name, but its
        ids come from this record, too: what is held again after its deadline is due again for the very same instant."""
        for _ in range(DEADLINES_AT_ONCE_MAX):
            deadline = earliest(self.decider, self.state)
            if deadline is None or deadline.due_at >= self.record.time:
                return
            cause = f"{self.decider.service}/{deadline.subject}/{deadline.name}"
            self.ask(deadline, cause, f"{deadline.due_at.isoformat()}|{self.record.id}|".encode() + self.this_time)
        raise RuntimeError(f"the deadlines of {self.record.order_id} do not pass")

    def answer(self, answered: set[bytes]) -> None:
        """Exactly one answer for a command: a repeat has had it, another body under a known id is refused."""
        record, digest = self.record, self.record.digest
        if digest is None or digest in answered:
            return
        before = len(self.said)
        if isinstance(record.heard, Refusal):
            conflict = answered and record.heard.code != "key_mismatch"
            self.say([CONFLICT if conflict else record.heard], record.id, digest, record.actor)
        elif answered:
            self.say([CONFLICT], record.id, digest, record.actor)
        elif isinstance(record.heard, Resume):
            self.say([self._resumption(record.heard)], record.id, digest, record.actor)
        else:
            self.ask(record.heard, record.id, digest, record.actor)
        if len(self.said) == before:
            raise RuntimeError(f"no answer to {record.type} {record.id}")
        self.said[before] = replace(self.said[before], command_id=record.id, digest=digest)

    def _resumption(self, wish: Resume) -> Output:
        """Whoever comes to hear the wish has handled all that waited before it."""
        if not may_resume(wish):
            return Refusal("not_allowed", "Only operators let a parked order go on.")
        return self.decider.resumed() if self.record.waited else NOT_PARKED

    def next_alarm(self, alarm: datetime | None) -> datetime | None:
        """One alarm per order and service, for its earliest deadline; never cancelled, never moved later.

        A bell at or before the alarm came early: the next is asked for at least a second later, else skewed
        clocks would ring each other in a hot loop.
        """
        record, set_before = self.record, alarm
        rang = isinstance(record.heard, Bell)
        if rang:
            alarm = None
        deadline = earliest(self.decider, self.state)
        if deadline is not None and (alarm is None or deadline.due_at < alarm):
            alarm = deadline.due_at
            if rang and set_before is not None and record.time <= set_before:
                alarm = max(alarm, record.time + EARLY_BELL_DELAY)
            schedule = Schedule(
                order_id=record.order_id,
                actor=Actor(role="platform", id=self.decider.service),
                timer_id=f"{self.decider.service}/{record.order_id}",
                name=deadline.name,
                due_at=alarm,
                deliver_to=self.decider.service,
            )
            self.say([schedule], record.id, b"alarm" + self.this_time)
        elif rang and set_before is not None:
            self.say([AlarmRung()], record.id, self.this_time)
        return alarm


def handle(decider: Decider[S], stream: Stream[S], record: Input, policies: Policies) -> list[Said]:
    """Applies one input to one order: returns what to store and moves `stream` on.

    Raises only for a bug, and then leaves `stream` as it was.
    """
    turn = _Turn(decider, stream, record, policies)
    if record.own:
        turn.pass_deadlines()
    commanded = isinstance(record.heard, Command | Refusal)
    answered = stream.answered.get(record.id, set()) if commanded else set()
    if commanded:
        turn.answer(answered)
    elif not isinstance(record.heard, Bell):
        turn.ask(decider.identify(record.heard, record.id), record.id, record.digest or b"")
    alarm = turn.next_alarm(stream.alarm)

    stream.state, stream.alarm, stream.correlation_id = turn.state, alarm, turn.correlation_id
    if commanded and record.digest:
        stream.answered[record.id] = answered | {record.digest}
    return turn.said


def refold(decider: Decider[S], stream: Stream[S], stored: Message) -> None:
    """Folds one stored row back in: the events are the state, there is nothing else."""
    match stored:
        case Schedule():
            stream.alarm = stored.due_at
        case AlarmRung():
            stream.alarm = None
        case Event() if not isinstance(stored, Rejected | Resumed):
            stream.state = decider.evolve(stream.state, stored)
