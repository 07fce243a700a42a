"""One order as one service sees it, and how one input turns it into the next.

`handle` is all there is between a decoded record and the events to commit: the law of time (R0), one answer per
command, one alarm per stream. It alone knows which of `decide`, `react` and `expire` is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any, Generic, TypeVar, cast, get_args

from schemas.example import fields
from schemas.instants import from_ms
from schemas.timer.commands import Schedule
from schemas.wire import (
    Actor,
    Code,
    Command,
    Event,
    Message,
    PrivateEvent,
    Rejected,
    Reply,
    Resume,
    Service,
    TopicEntry,
)
from shared.kernel.decider import (
    Call,
    Deadline,
    Decider,
    Output,
    Refusal,
    RefusedOnArrival,
    Send,
    WakeUp,
    call_id,
    role_may,
)
from shared.kernel.policies import Policies
from shared.kernel.ports import Followed, Input, StoredEvent

S = TypeVar("S")

EARLY_WAKE_UP_DELAY = timedelta(seconds=1)
DEADLINES_AT_ONCE_MAX = 1_000
"""More overdue deadlines than this in one stream is a decider that does not let go of them: a bug."""

CONFLICT = Refusal("idempotency_conflict", "this command id was used before, with another content")
AFTER_THE_LIMIT = frozenset(get_args(Code)[get_args(Code).index("limit_exceeded") :])
"""Codes of refusals to which this one is preferred, as the contract orders them."""
NOT_PARKED = Refusal("wrong_state", "Nothing of this order waits here.")


class AlarmFired(PrivateEvent):
    """A wake-up came and nothing is left to be woken for: the next deadline needs an alarm of its own."""

    type = "alarm.rung.v1"


class Withheld(PrivateEvent):
    """What was said of this stream is not what its inputs bring about: nothing is decided of it, and whatever comes for
    it waits, until a person has looked and it is taken away (docs/OPERATIONS.md, Disaster)."""

    type = "stream.withheld.v1"
    example = fields(why="number 17, order.cancelled.v1, is not what its inputs bring about now")

    why: str


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """The first event of the answer to a command: what whoever repeats the command is told (R81)."""

    id: str
    type: str
    time: datetime
    """Of the command."""


Answers = dict[bytes, dict[bytes, FirstAnswer]]
"""By what was `asked`, with the digests of the bodies that were answered under it."""


def asked(stream_id: str, actor: Actor | None, command_id: str) -> bytes:
    """By what a command is known again: ids are each actor's own, so nobody can take another's (R77). Stored (migration
    0004 has it in SQL), so it never changes."""
    parts = (stream_id, *((actor.role, actor.id) if actor else ("", "")), command_id)
    return sha256("".join(f"{len(part.encode())}:{part}" for part in parts).encode()).digest()[:16]


def learn(answers: Answers, first: StoredEvent) -> None:
    """What was answered before, from the first event of the answer."""
    if first.asked is not None and first.digest is not None:
        known = FirstAnswer(first.id or "", first.type, from_ms(first.time))
        answers.setdefault(first.asked, {})[first.digest] = known


@dataclass(slots=True)
class Stream(Generic[S]):
    """Folded from the service's own events."""

    id: str
    state: S | None = None
    alarm: datetime | None = None
    """The instant for which the timer service was last asked to wake us, None after any wake-up."""
    acts: dict[str, int] = field(default_factory=dict)
    """How many commands of each role were obeyed."""
    clocks: dict[Deadline[str], str] = field(default_factory=dict)
    """The deadlines of the state, each with the correlation id of the record that set it: what it brings about belongs
    to that story."""


@dataclass(slots=True)
class OutgoingMessage:
    """One message decided on; the commit makes a `StoredEvent` of it. `topic` None stays private."""

    message: Message
    topic: str | None
    id: str
    causation_id: str
    correlation_id: str
    command_id: str | None = None
    asked: bytes | None = None
    digest: bytes | None = None


def _names_its_command(event: Event) -> bool:
    """What is answered later, too, says to which command."""
    return "command_id" in type(event).model_fields and not isinstance(event, Reply)


def may_resume(payload: object) -> bool:
    """Whether it is a wish to let a parked stream go on, of somebody who may have it."""
    return isinstance(payload, Resume) and role_may(payload) is None


class Decision(Generic[S]):
    """What one input makes of one stream; the stream itself is untouched until all is decided."""

    def __init__(self, decider: Decider[S, Any, Any], stream: Stream[S], found: Input, policies: Policies) -> None:
        self.decider, self.found, self.policies = decider, found, policies
        self.state, self.clocks, self.acts = stream.state, stream.clocks, stream.acts
        self.outgoing: list[OutgoingMessage] = []

    @property
    def this_time(self) -> bytes:
        """What tells the input from another one of its id: a wake-up that came twice, a command said again."""
        return self.found.time.isoformat().encode() + (self.found.digest or b"") + self.found.place

    def say(
        self,
        outputs: Sequence[Output],
        cause: str,
        unique: bytes = b"",
        actor: Actor | None = None,
        story: str | None = None,
    ) -> None:
        """Same cause, same ids. `story`: the correlation id, where it is not the input's."""
        story = story or self.found.correlation_id
        seed = blake2b(f"{self.decider.service}|{self.found.stream_id}|{cause}|".encode() + unique, digest_size=16)
        for number, output in enumerate(outputs):
            topic = output.topic if isinstance(output, Send) else None
            message = output.message if isinstance(output, Send | Call) else output
            if isinstance(message, Refusal):
                message = self._rejection(message)
            if isinstance(message, Event):
                message = self._fold(message, actor, story)
            hashed = seed.copy()
            hashed.update(str(number).encode())
            id_ = hashed.hexdigest()
            if isinstance(output, Call):
                id_ = call_id(self.decider.service, self.found.stream_id, output.name)
            self.outgoing.append(OutgoingMessage(message, topic or message.topic, id_, cause, story))

    def _rejection(self, refusal: Refusal) -> Rejected:
        """Names what the command was about, as far as it could be read: its dispute, its timer."""
        model, wish = self.decider.rejected, self.found.payload
        names = [name for name in model.model_fields.keys() - Rejected.model_fields.keys() if name.endswith("_id")]
        about: dict[str, Any] = {name: getattr(wish, name, None) for name in names}
        return model(
            **about,
            refused=self.found.type,
            command_id=self.found.id,
            code=refusal.code,
            message=refusal.message,
            details=refusal.details,
        )

    def _fold(self, event: Event, actor: Actor | None, story: str) -> Event:
        """The event as it is stored: whose it is, who caused it, and what the state it leads to stamps on it."""
        about: dict[str, Any] = {"order_id": self.found.stream_id, "actor": actor}
        if isinstance(self.found.payload, Command) and self.found.digest is not None and _names_its_command(event):
            about["command_id"] = self.found.id
        event = event.completed(about)
        if not isinstance(event, Reply):
            self.state = self.decider.evolve(self.state, event)
            self.clocks = _clocks(self.decider, self.state, self.clocks, story)
        event.__dict__.update(self.decider.stamp(self.state, event))  # a copy of ours that nobody else has seen
        return event

    def pass_deadlines(self) -> None:
        """What is overdue has happened before this input, the earliest first (R0). Its cause is its own name, but its
        ids come from this input, too: what is held again after its deadline is due again for the very same instant."""
        decider, now = self.decider, self.found.time
        for _ in range(DEADLINES_AT_ONCE_MAX):
            deadline = decider.earliest(self.state)
            if deadline is None or deadline.due_at >= now:
                return
            outputs = decider.expire(self.state, deadline, now, self.policies)
            cause = f"{decider.service}/{deadline.subject}/{deadline.name}"
            unique = f"{deadline.due_at.isoformat()}|{self.found.id}|".encode() + self.this_time
            self.say(outputs, cause, unique, story=self.clocks.get(deadline))
        again = decider.earliest(self.state)
        raise RuntimeError(f"a deadline of {self.found.stream_id} is held again whenever it expires: {again}")

    def react(self) -> None:
        found = self.found
        payload = self.decider.identify(found)
        actor = payload.actor if isinstance(payload, Command) else None
        said = self.decider.react(self.state, payload, found.time, self.policies)
        self.say(said, found.id, found.digest or b"", actor)

    def answer(self, command: Command | RefusedOnArrival, answers: Answers) -> Answers:
        """Exactly one answer for a command, which is returned too, and to a repeat a word about which that was. Another
        body under a known id is refused. What is obeyed in silence has none, and is obeyed anew when it is repeated."""
        found, digest = self.found, self.found.digest or b""
        whose = asked(found.stream_id, command.actor, found.id)
        known = answers.get(whose, {})
        if first := known.get(digest):
            self._repeat(command, first)
            return {}
        before = len(self.outgoing)
        self.say(self._answer(command, conflicts=bool(known)), found.id, digest, command.actor)
        if len(self.outgoing) == before:
            if isinstance(command, Command) and command.is_silent:
                return {}
            raise RuntimeError(f"no answer to {found.type} {found.id}")
        said = self.outgoing[before:]
        told = next((one for one in said if isinstance(one.message, Event) and one.topic), said[0])
        told.command_id, told.asked, told.digest = found.id, whose, digest
        self.acts = acted(self.acts, told.message)
        return {whose: known | {digest: FirstAnswer(told.id, told.message.type, found.time)}}

    def _repeat(self, command: Command | RefusedOnArrival, first: FirstAnswer) -> None:
        if self.decider.repeated is not None:
            repeated = self.decider.repeated(
                command_id=self.found.id, answer_id=first.id, answer_type=first.type, answered_at=first.time
            )
            self.say([repeated], self.found.id, b"again" + self.this_time, command.actor)

    def _answer(self, command: Command | RefusedOnArrival, conflicts: bool) -> Sequence[Output]:
        match command:
            case RefusedOnArrival(refusal=refusal):
                return [CONFLICT if conflicts and refusal.code != "key_mismatch" else refusal]
            case _ if conflicts:
                return [CONFLICT]
            case Resume():
                return [self._resumption(command)]
            case _:
                return self._within_limits(command)

    def _within_limits(self, command: Command) -> Sequence[Output]:
        """What would be obeyed, and has no room any more, is refused: a stream cannot be made longer than can be read.
        Who may not act at all, or too late, is told that."""
        said = self.decider.decide(self.state, command, self.found.time, self.policies)
        role, acts_max = command.actor.role, self.decider.acts_max
        if self.acts.get(role, 0) < acts_max or role == "operator":
            return said
        if isinstance(said[0], Refusal) and said[0].code not in AFTER_THE_LIMIT:
            return said
        return [Refusal("limit_exceeded", f"There were {acts_max:,} acts of a {role} here; no more are taken.")]

    def _resumption(self, wish: Resume) -> Output:
        """Whoever comes to hear the wish has handled all that waited before it."""
        if refusal := role_may(wish):
            return refusal
        if not self.found.waited or self.decider.resumed is None:
            return NOT_PARKED
        return self.decider.resumed()

    def next_alarm(self, alarm: datetime | None) -> datetime | None:
        """One alarm per stream, for its earliest deadline; never cancelled, never moved later.

        A wake-up at or before the alarm came early: the next is asked for at least a second later, else skewed clocks
        would wake each other in a hot loop.
        """
        found, set_before = self.found, alarm
        fired = isinstance(found.payload, WakeUp)
        if fired:
            alarm = None
        deadline = self.decider.earliest(self.state)
        if deadline is not None and (alarm is None or deadline.due_at < alarm):
            alarm = deadline.due_at
            rang_early = fired and set_before is not None and found.time <= set_before
            if rang_early:
                alarm = max(alarm, found.time + EARLY_WAKE_UP_DELAY)
            schedule = Schedule(
                order_id=found.stream_id,
                actor=Actor(role="platform", id=self.decider.service),
                timer_id=f"{self.decider.service}/{found.stream_id}",
                name=deadline.name,
                due_at=alarm,
                deliver_to=cast(Service, self.decider.service),  # nobody else has deadlines
                rang_early=rang_early,
            )
            self.say([schedule], found.id, b"alarm" + self.this_time, story=self.clocks.get(deadline))
        elif fired and set_before is not None:
            self.say([AlarmFired()], found.id, self.this_time)
        return alarm


def handle(
    decider: Decider[S, Any, Any], stream: Stream[S], found: Input, policies: Policies, answers: Answers
) -> list[OutgoingMessage]:
    """Applies one input to one stream: returns what to store and moves `stream` on. `answers`: what is known of those
    that were given before, as far as it may ask for one again; its own is added.

    Raises only for a bug, and then leaves `stream` and `answers` as they were.
    """
    decision = Decision(decider, stream, found, policies)
    new: Answers = {}
    if found.own:
        decision.pass_deadlines()
    match found.payload:
        case Command() | RefusedOnArrival() as command if found.digest is not None:
            new = decision.answer(command, answers)
        case WakeUp() | TopicEntry() | Followed():
            pass
        case _:
            decision.react()
    alarm = decision.next_alarm(stream.alarm)

    stream.state, stream.alarm, stream.clocks, stream.acts = decision.state, alarm, decision.clocks, decision.acts
    answers |= new
    return decision.outgoing


def acted(acts: dict[str, int], told: Message) -> dict[str, int]:
    """With the command that this is the first answer to."""
    actor = getattr(told, "actor", None)
    if actor is None or isinstance(told, Reply):
        return acts
    return acts | {actor.role: acts.get(actor.role, 0) + 1}


def _clocks(
    decider: Decider[S, Any, Any], state: S | None, before: dict[Deadline[str], str], story: str
) -> dict[Deadline[str], str]:
    """The deadlines of a state: those it had before keep the story they belong to."""
    return {deadline: before.get(deadline, story) for deadline in decider.deadlines(state)}


def refold(decider: Decider[S, Any, Any], stream: Stream[S], stored: Message, story: str = "") -> None:
    """Folds one stored message back in, with its correlation id: the events are the state, there is nothing else."""
    match stored:
        case Schedule():
            stream.alarm = stored.due_at
        case AlarmFired():
            stream.alarm = None
        case Withheld():
            raise RuntimeError(f"{stream.id} is withheld: {stored.why}")
        case Event() if not isinstance(stored, Reply):
            stream.state = decider.evolve(stream.state, stored)
            stream.clocks = _clocks(decider, stream.state, stream.clocks, story)


def fold(decider: Decider[S, Any, Any], stream: Stream[S], events: Iterable[StoredEvent]) -> Stream[S]:
    """Moves a stream on by stored events in their order. Raises for one that cannot be read."""
    for event in events:
        model = Message.MODELS[event.type]
        if issubclass(model, Reply):
            continue  # no history: who asks again is told by its row
        message = model.read(event.data or b"")
        if event.command_id is not None:
            stream.acts = acted(stream.acts, message)
        refold(decider, stream, message, event.correlation_id or "")
    return stream
