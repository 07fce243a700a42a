"""An order played again from its first word: the same acts at the same instants, by the services' own deciders.

In the first play, under the policy it lived under, bells ring when they rang and words are heard when they were heard;
so what comes out must be what was recorded. What it has learnt of the world outside (when the payment service answered
which call, when a mediator took which seat) the next play, under another policy, goes on with: where the same is asked
for, the world answers as it did, as long after.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from schemas.instants import EPOCH
from schemas.mediation.commands import AssignMediator, Seat
from schemas.payments.commands import PaymentCommand
from schemas.payments.events import PaymentCaptured, PaymentReversed
from schemas.refund.events import RefundOverdue
from schemas.timer.commands import Schedule
from schemas.wire import Event, Rejected, Reply
from services.casefile.foresight.oracle import A_MOMENT, BELLS_MAX, DECODERS, JUDGES, obedient
from services.casefile.foresight.remembered import is_aloud
from services.casefile.laboratory.recorded import CannotPlay, Heard, Recorded, Spoken
from shared.kernel.decider import Deadline, WakeUp
from shared.kernel.policies import Policies
from shared.kernel.ports import Input
from shared.kernel.stream import Answers, OutgoingMessage, Stream, handle

NOTHING = timedelta(0)
LATE = "refund_due"
FOLLOWS, ACTS, OUTSIDE = 0, 1, 2
"""Of one instant: what follows from what was said before comes first, then what came and was answered, in the order of
the answers, then what the world outside said to nobody's answer."""
Wanted = tuple[str, int, int]
"""A seat: (dispute, round, how often it was wanted in that round)."""


@dataclass
class Outside:
    """What a play has learnt of the world outside."""

    calls: dict[str, tuple[datetime, PaymentCommand]] = field(default_factory=dict)
    """Id of a call to the payment service -> when it was made, and what it asked."""
    answers: dict[str, list[tuple[timedelta, Input]]] = field(default_factory=dict)
    """The same -> how long after, what it said to it."""
    unasked: list[Input] = field(default_factory=list)
    """What the payment service said by itself."""
    seats: dict[Wanted, tuple[timedelta, Input]] = field(default_factory=dict)
    """Who got it, and how long after it was wanted."""
    bells: dict[tuple[str, Deadline[str]], datetime] = field(default_factory=dict)
    """(service, deadline) -> when it was found to be over."""


@dataclass
class Rehearsed:
    """What came of it."""

    said: list[Spoken] = field(default_factory=list)
    refusals: list[Rejected] = field(default_factory=list)
    outside: Outside = field(default_factory=Outside)
    not_asked_for: list[str] = field(default_factory=list)
    """What the payment service said of movements that there are not."""


class Rehearsal:
    """`before`: what an earlier play has learnt; None: this is the first."""

    def __init__(self, recorded: Recorded, policies: Policies, before: Outside | None = None) -> None:
        self.recorded, self.policies, self.before = recorded, policies, before
        self.done = Rehearsed()
        self.streams: dict[str, Stream[Any]] = {name: Stream(recorded.order_id) for name in JUDGES}
        self._answers: dict[str, Answers] = {name: {} for name in JUDGES}
        self._deadlines: dict[str, dict[Deadline[str], datetime]] = {}
        """Service -> its deadlines, and when each of them rings."""
        self._coming: list[tuple[datetime, int, float, int, Heard]] = []
        self._number = 0
        self._told = recorded.by_cause
        self._rung = _expiries(recorded)
        self._waits, self._behind = _readings(recorded)
        self._read_at = defaultdict[str, datetime](lambda: EPOCH)
        self._acts: dict[tuple[str, str], float] = {}
        self._awaited: dict[str, list[Heard]] = defaultdict(list)
        """Call, or dispute whose seat is wanted -> the answers that there were, which have not come."""
        self._wanted: Counter[tuple[str, int]] = Counter()
        self._seat: dict[str, tuple[Wanted, datetime]] = {}
        self._from_outside = [one for one in recorded.came if not one.input.own]
        for one in recorded.came:
            if one.input.own or before is None or one.input in before.unasked:
                self._comes(one, ACTS if one.input.own or one.place else OUTSIDE)
            if before is None and not one.input.own:
                self._awaited[_question(one.input)].append(one)

    def run(self) -> Rehearsed:
        """To its end: until nothing more would happen, or only that the same money is late again. Raises CannotPlay."""
        bells = 0
        while bells < BELLS_MAX:
            bell = self._next_bell()
            if self._coming and (bell is None or self._coming[0][0] < bell[0]):
                heard = heappop(self._coming)[-1]
                if self._happens(heard):
                    self._handle(heard)
                continue
            if bell is None:
                break
            at, service, _ = bell
            begins, bells = len(self.done.said), bells + 1
            self._handle(Heard(service, self._bell(at)))
            said = self.done.said[begins:]
            if not self._coming and said and self._only_late(said):
                break
        if self.before is None:
            self._learn()
        return self.done

    # -- what comes --------------------------------------------------------------------------------------------------

    def _comes(self, one: Heard, rank: int) -> None:
        self._number += 1
        read_at = one.input.time + self._waits.get((one.service, one.input.id), NOTHING)
        number: float = self._number
        if one.input.own:  # an inbox is read in its order
            read_at = self._read_at[one.service] = max(read_at, self._read_at[one.service])
            self._acts.setdefault((one.service, one.input.id), number)
        elif rank == FOLLOWS and (
            behind := self._acts.get((one.service, self._behind.get((one.service, one.input.id), "")))
        ):
            rank, number = ACTS, behind + 0.5
        heappush(self._coming, (read_at, rank, number, self._number, one))

    def _bell(self, at: datetime) -> Input:
        self._number += 1
        id_ = f"bell/{self._number}"
        return Input(WakeUp(), "bell", self.recorded.order_id, id_, at, id_, own=True)

    def _set_bell(self, service: str, now: datetime, own: bool) -> None:
        """For what rings first of it. What was over and had not rung yet when something came before it, was late, and
        is again."""
        deadlines = {one: self._rings(service, one) for one in JUDGES[service].deadlines(self.streams[service].state)}
        for gone in self._deadlines.get(service, {}):
            if self.before is None and gone not in deadlines and gone.due_at < now:
                self.done.outside.bells[service, gone] = now if own else now + A_MOMENT
        self._deadlines[service] = deadlines

    def _next_bell(self) -> tuple[datetime, str, Deadline[str]] | None:
        bells = [
            (at, service, deadline)
            for service, deadlines in self._deadlines.items()
            for deadline, at in deadlines.items()
        ]
        return min(bells, key=lambda bell: bell[0], default=None)

    def _only_late(self, said: Sequence[Spoken]) -> bool:
        """Nothing is said but that money is late, and no clock is left but the one by which it is, again and again."""
        clocks = {one.name for deadlines in self._deadlines.values() for one in deadlines}
        return clocks <= {LATE} and all(isinstance(one.event, RefundOverdue) for one in said)

    def _rings(self, service: str, deadline: Deadline[str]) -> datetime:
        """When it was found to be over: then, else as soon as it is. What nobody heard of did not ring in its time, if
        anybody would have heard of it."""
        if (known := self._deadlines.get(service, {}).get(deadline)) is not None:
            return known
        at_once = deadline.due_at + A_MOMENT
        if self.before is not None:
            return self.before.bells.get((service, deadline), at_once)
        rung = self._rung.get((service, _as_cause(service, deadline)), [])
        later = bisect_right(rung, deadline.due_at)
        if later < len(rung):
            return rung[later]
        outputs = JUDGES[service].expire(self.streams[service].state, deadline, at_once, self.policies)
        return max(at_once, self.recorded.until + A_MOMENT) if any(map(is_aloud, outputs)) else at_once

    def _happens(self, heard: Heard) -> bool:
        if self.before is None and heard in self._from_outside:
            answers = self._awaited[_question(heard.input)]
            if heard not in answers:
                return False  # it came as soon as it was asked for
            answers.remove(heard)
        match heard.input.payload:
            case AssignMediator(dispute_id=dispute_id) if heard.input.digest is None:
                wanted = self._seat.pop(dispute_id, None)
                if wanted is not None:
                    self.done.outside.seats[wanted[0]] = heard.input.time - wanted[1], heard.input
            case PaymentReversed(payment_key=str(key)) if self.before is not None:
                if _asked(self.done.outside, key) != _asked(self.before, key):
                    self.done.not_asked_for.append(key)
                    return False
        return True

    # -- what is said ------------------------------------------------------------------------------------------------

    def _handle(self, heard: Heard) -> None:
        service, decider, stream = heard.service, JUDGES[heard.service], self.streams[heard.service]
        try:
            said = handle(decider, stream, heard.input, self.policies, self._answers[service])
            self._set_bell(service, heard.input.time, heard.input.own)
        except Exception as error:  # whatever it is, the order would be parked
            raise CannotPlay(f"{service} cannot handle {heard.input.type}: {type(error).__name__}.") from error
        for one in said:
            self._say(service, one, heard.input)

    def _say(self, service: str, said: OutgoingMessage, found: Input) -> None:
        message = said.message
        match message:
            case Schedule():
                return
            case Seat():
                self._want(message, found.time)
            case PaymentCommand():
                self._call(message, said.id, found.time)
            case Rejected():
                self.done.refusals.append(message)
            case Event() if said.topic is not None and not isinstance(message, Reply):
                self._tell(service, message, said, found.time)

    def _tell(self, service: str, event: Event, said: OutgoingMessage, now: datetime) -> None:
        """It has the id that it had, and lies as long in its topic as it did."""
        same = self._told.get((service, said.causation_id, event.type))
        known = same.popleft() if same else None
        one = Spoken(
            service, event, known.id if known else said.id, said.causation_id, now, known.lag if known else NOTHING
        )
        self.done.said.append(one)
        for hearer, decoder in DECODERS.items():
            if (said.topic, event.type) in decoder.heard:
                at = now + one.lag
                found = Input(event, event.type, event.key, one.id, at, said.correlation_id, said.causation_id)
                self._comes(Heard(hearer, found), FOLLOWS)

    def _want(self, seat: Seat, now: datetime) -> None:
        """Whoever got it got it; a seat that nobody had to fill then stays empty."""
        if not seat.wanted:
            return
        place = seat.dispute_id, seat.round
        self._answers_come(seat.dispute_id, now, 1)
        wanted = (*place, self._wanted[place])
        self._wanted[place] += 1
        self._seat[seat.dispute_id] = wanted, now
        if self.before is not None and wanted in self.before.seats:
            after, given = self.before.seats[wanted]
            self._comes(Heard("mediation", replace(given, time=now + after)), FOLLOWS)

    def _call(self, call: PaymentCommand, id_: str, now: datetime) -> None:
        """The same movement is answered as it was, if it was; any other at once."""
        self.done.outside.calls[id_] = now, call
        self._answers_come(id_, now)
        if self.before is None:
            return
        if (known := self.before.calls.get(id_)) is not None and known[1] == call:
            for after, answer in self.before.answers.get(id_, ()):
                self._comes(Heard("refund", replace(answer, time=now + after)), FOLLOWS)
        elif (said := obedient(call)) is not None:
            answer_id = f"{id_}/answer"
            found = Input(said, said.type, call.order_id, answer_id, now, answer_id, id_, digest=answer_id.encode())
            self._comes(Heard("refund", found), FOLLOWS)

    def _answers_come(self, question: str, now: datetime, at_most: int | None = None) -> None:
        """What came in the instant of its question follows from it, before whatever somebody says then."""
        for one in self._awaited.get(question, [])[:at_most]:
            if one.input.time == now:
                self._comes(one, FOLLOWS)

    # -- what is learnt ----------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """Which call each word of the payment service answered: the one it names, else the last of its movement."""
        world = self.done.outside
        for fact in (one for one in self._from_outside if one.service == "refund"):
            call = fact.input.causation_id
            if call not in world.calls:
                earlier = [id_ for id_ in _calls_of(world, fact.input) if world.calls[id_][0] <= fact.input.time]
                call = earlier[-1] if earlier else ""
            if call and not isinstance(fact.input.payload, PaymentReversed):
                answers = world.answers.setdefault(call, [])
                answers.append((fact.input.time - world.calls[call][0], fact.input))
            else:
                world.unasked.append(fact.input)


def _question(found: Input) -> str:
    """What an answer of the world outside is to: the call that it names, or the dispute whose seat it fills."""
    said = found.payload
    return said.dispute_id if isinstance(said, AssignMediator) else found.causation_id


def _calls_of(world: Outside, fact: Input) -> Iterator[str]:
    said: Any = fact.payload
    for id_, (_, call) in world.calls.items():
        if isinstance(said, PaymentCaptured):
            if call.payment_key == f"{call.order_id}/capture":
                yield id_
        elif call.payment_key == said.payment_key:
            yield id_


def _asked(world: Outside, payment_key: str) -> set[int]:
    """Over which amounts this movement was asked for."""
    calls = (call for _, call in world.calls.values() if call.payment_key == payment_key)
    return {minor for call in calls if (minor := getattr(call, "amount_minor", None)) is not None}


def _as_cause(service: str, deadline: Deadline[str]) -> str:
    return f"{service}/{deadline.subject}/{deadline.name}"


def _expiries(recorded: Recorded) -> dict[tuple[str, str], Sequence[datetime]]:
    """(service, a deadline as a cause) -> when it brought something about, in order."""
    found: dict[tuple[str, str], dict[datetime, None]] = defaultdict(dict)
    for service, ones in recorded.said.items():
        for one in ones:
            if one.cause.startswith(f"{service}/"):
                found[service, one.cause][one.at] = None
    return {name: sorted(instants) for name, instants in found.items()}


def _readings(recorded: Recorded) -> tuple[dict[tuple[str, str], timedelta], dict[tuple[str, str], str]]:
    """(service, cause) -> how much longer it lay than something of a later time that the service read first, as between
    topics there is no order; and behind which act of the same instant it was read."""
    acts = {(act.service, act.input.id) for act in recorded.acts}
    waits: dict[tuple[str, str], timedelta] = {}
    behind: dict[tuple[str, str], str] = {}
    for service, read in recorded.read.items():
        latest, act = EPOCH, ""
        seen = set[str]()
        for cause, at in read:
            latest, act = (at, "") if at > latest else (latest, act)
            if cause not in seen and at < latest:
                waits[service, cause] = latest - at
            if (service, cause) in acts:
                act = cause
            elif act and cause not in seen:
                behind[service, cause] = act
            seen.add(cause)
    return waits, behind
