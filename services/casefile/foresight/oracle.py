"""What would be: the services' own deciders around one order, without a bus, from an instant on.

Nothing here knows a rule. A command is tried on copies of what the services know, and what they say is heard by whoever
hears it in life; where nobody acts the clocks run out one after the other. Outside there is a payment service that does
as it is asked, at once.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from schemas.instants import from_ms, to_ms
from schemas.payments.commands import ConfirmPayment, PaymentCommand, QueryPayment
from schemas.payments.events import PaymentCaptured, PaymentSettled
from schemas.refund.events import RefundOverdue
from schemas.timer.commands import Schedule
from schemas.wire import MEDIATORS_KEY, Command, Event, Message, PrivateEvent
from services.casefile.foresight.kept_roster import KeptRoster
from services.casefile.foresight.remembered import Remembered, decoder_of
from services.composition import DECIDERS
from shared.kernel.decider import Deadline, Decider, Output, WakeUp
from shared.kernel.policies import Policies
from shared.kernel.ports import Input, Record
from shared.kernel.stream import OutgoingMessage, Stream, handle

JUDGES: Mapping[str, Decider[Any, Any, Any]] = {name: one for name, one in DECIDERS.items() if one.deadline_names}
"""Who decides about an order."""
ROSTERS = "mediation"
"""Whose stream the roster of mediators is."""
DECODERS = {name: decoder_of(decider) for name, decider in JUDGES.items()}
TAKEN = {model.type: name for name, decider in JUDGES.items() for model in decider.inbox}
A_MOMENT = timedelta(milliseconds=1)
"""Nothing happens at the last instant of a right, but behind it (R0)."""
BELLS_MAX = 1_000
StreamKey = tuple[str, str]
"""(service, stream)"""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would be said, and when."""

    at: datetime
    event: Event


def only_late(said: Sequence[Foreseen]) -> bool:
    """Money is late: that comes again and again, until somebody acts."""
    return bool(said) and all(isinstance(one.event, RefundOverdue) for one in said)


def obedient(call: PaymentCommand) -> Message | None:
    """A payment service that does what it is asked."""
    match call:
        case QueryPayment():
            return None
        case ConfirmPayment():
            return PaymentCaptured(
                order_id=call.order_id,
                payment_id=call.payment_id,
                currency=call.currency,
                amount_minor=call.amount_minor,
            )
        case _:
            asked: Any = call
            return PaymentSettled(
                order_id=call.order_id,
                payment_key=call.payment_key,
                currency=asked.currency,
                amount_minor=asked.amount_minor,
                provider_reference=f"foreseen {call.payment_key}",
            )


class Outlook:
    """One order from an instant on. What is tried on it stays with it: for another trial take another one."""

    def __init__(
        self,
        streams: Iterable[tuple[str, Stream[Any]]],
        policies: Policies,
        now: datetime,
        private: Iterable[Foreseen] = (),
        due: Mapping[StreamKey, tuple[Any, Deadline[str] | None]] | None = None,
    ) -> None:
        """`streams`: (service, what it knows), of the order and of the roster of mediators. `private`: what services
        said of the order to nobody until then. `due`: of each stream a state, and its earliest deadline."""
        self.streams = {(service, stream.id): replace(stream) for service, stream in streams}
        self.policies = policies
        self.now = from_ms(to_ms(now))  # as the broker writes it
        self.foreseen: list[Foreseen] = []
        self.private = list(private)
        """This goes on with what they would say to nobody."""
        self._due = dict(due or {})
        self._waiting: deque[tuple[str, Input]] = deque()
        self._inputs = 0

    def fork(self, at: datetime | None = None) -> "Outlook":
        """To try something that is to leave no trace here; `at`: a later instant, before which nothing runs out."""
        streams = ((service, stream) for (service, _), stream in self.streams.items())
        return Outlook(streams, self.policies, at or self.now, due=self._due)

    def answer(self, command: Command, at: datetime) -> Any:
        """The first event of its answer if it came at this instant; that leaves no trace here."""
        service = TAKEN[command.type]
        known = self.streams.get((service, command.key))
        stream: Stream[Any] = Stream(command.key) if known is None else replace(known)
        found = Input(command, command.type, command.key, "tried", at, "tried", own=True, digest=b"tried")
        said = handle(JUDGES[service], stream, found, self.policies, {})
        return next(one.message for one in said if one.command_id is not None)

    def say(self, command: Command) -> list[Foreseen]:
        """What follows at once: the answer first, then what other services make of it."""
        self._put(TAKEN[command.type], command, own=True, digest=b"tried")
        return self._settle()

    def decided(self, command: Command, at: datetime) -> Sequence[Output]:
        """What its service decides of it at this instant, which is much sooner told than what it says; nothing where a
        clock has run out before, or so much was said already that it matters."""
        service, role = TAKEN[command.type], command.actor.role
        place, decider = (service, command.key), JUDGES[service]
        stream = self.streams.get(place)
        if stream is not None:
            due = self._deadline(*place)
            if (due is not None and due.due_at < at) or stream.acts.get(role, 0) >= decider.acts_max:
                return ()
        if not isinstance(command, decider.commands):
            return ()
        return decider.decide(None if stream is None else stream.state, command, at, self.policies)

    def next_change(self) -> datetime | None:
        """When something changes if nobody acts."""
        found = self._earliest()
        return None if found is None else found[1].due_at

    def next_bell(self) -> list[Foreseen]:
        """The clock that runs out first has run out: what that brings about."""
        found = self._earliest()
        if found is None:
            return []
        service, deadline, stream_id = found
        self.now = max(self.now, deadline.due_at + A_MOMENT)
        self._put(service, WakeUp(), own=True, stream_id=stream_id)
        return self._settle()

    def nobody_acts(self, until: datetime | None = None) -> list[Foreseen]:
        """What follows until nothing more would, or only that the same money is late again."""
        begins = len(self.foreseen)
        for _ in range(BELLS_MAX):
            at = self.next_change()
            if at is None or (until is not None and at >= until) or only_late(self.next_bell()):
                break
        if until is not None:
            self.now = max(self.now, until)
        return self.foreseen[begins:]

    def _earliest(self) -> tuple[str, Deadline[str], str] | None:
        found = [
            (service, deadline, stream_id)
            for service, stream_id in self.streams
            if (deadline := self._deadline(service, stream_id)) is not None
        ]
        return min(found, key=lambda one: one[1].due_at, default=None)

    def _deadline(self, service: str, stream_id: str) -> Deadline[str] | None:
        state = self.streams[service, stream_id].state
        known = self._due.get((service, stream_id))
        if known is None or known[0] is not state:
            known = self._due[service, stream_id] = (state, JUDGES[service].earliest(state))
        return known[1]

    def _settle(self) -> list[Foreseen]:
        begins = len(self.foreseen)
        while self._waiting:
            service, found = self._waiting.popleft()
            stream = self.streams.setdefault((service, found.stream_id), Stream(found.stream_id))
            for outgoing in handle(JUDGES[service], stream, found, self.policies, {}):
                self._hear(outgoing)
        return self.foreseen[begins:]

    def _hear(self, said: OutgoingMessage) -> None:
        message, topic = said.message, said.topic
        if isinstance(message, PrivateEvent) and message.order_id != MEDIATORS_KEY:
            self.private.append(Foreseen(self.now, message))
        if topic is None or isinstance(message, Schedule):
            return
        if isinstance(message, PaymentCommand):
            if (answer := obedient(message)) is not None:
                self._put("refund", answer, causation_id=said.id, digest=said.id.encode())
            return
        if isinstance(message, Event):
            self.foreseen.append(Foreseen(self.now, message))
        for service, decoder in DECODERS.items():
            if (topic, message.type) in decoder.heard:
                self._put(service, message, id_=said.id, stream_id=message.key)

    def _put(self, service: str, payload: Any, stream_id: str = "", id_: str = "", **more: Any) -> None:
        self._inputs += 1
        id_ = id_ or f"tried/{self._inputs}"
        stream_id = stream_id or payload.key
        type_ = payload.type if isinstance(payload, Message) else "tried"
        self._waiting.append((service, Input(payload, type_, stream_id, id_, self.now, id_, **more)))


def remembered(
    order_id: str, records: Sequence[Record], roster: Sequence[Record], policies: Policies, now: datetime
) -> Outlook:
    """`records`: all that lies in the topics of the order, and of the roster, in order (`in_order`)."""
    found, private = [], []
    for name, decider in JUDGES.items():
        mine = Remembered(decider, order_id, policies)
        for record in records:
            mine.take(record)
        found.append((name, mine.until(now)))
        private += [Foreseen(at, event) for at, event in mine.private]
    theirs = _ROSTER.of(roster, policies)
    found.append((ROSTERS, theirs.until(now)))
    return Outlook(found, policies, now, private)


_ROSTER = KeptRoster(JUDGES[ROSTERS], MEDIATORS_KEY)
