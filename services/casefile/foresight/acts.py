"""Who may do what, from when and until when: by trying every command on what the services know.

The answer is the deciders' own. A command stands for its kind: it says no more than it must, of what is open.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from schemas.dispute.events import OpenRefused
from schemas.wire import Actor, Command, Event, Rejected, Resume
from services.casefile.foresight.oracle import BELLS_MAX, JUDGES, TAKEN, Foreseen, Outlook, only_late
from services.casefile.foresight.subjects import NOT_OF_ONE_ORDER, Subjects
from shared.kernel.decider import Refusal

FAR = timedelta(days=3_650)
STEPS_MAX = 24
"""So many clocks are followed."""
FINAL_NO = OpenRefused.type
PENDING = frozenset(event.type for one in JUDGES.values() for model in one.commands for event in model.pending)
"""Answers that another one follows, of another service."""


@dataclass(frozen=True, slots=True)
class Act:
    """A command and what would become of it if nobody else acts."""

    command: Command
    refusal: Refusal | None
    """If it came now; None: it is obeyed."""
    from_: datetime | None
    """When it becomes possible; None: it is, or never does."""
    until: datetime | None
    """The last instant at which it is possible; None: nothing ends it."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What of the command is not its author's choice: of which dispute, which offer …"""


class Silence:
    """What follows if nobody acts: as it stands, and behind every clock that runs out."""

    def __init__(self, outlook: Outlook) -> None:
        walking = outlook.fork()
        self.steps = [walking.fork()]
        for _ in range(BELLS_MAX):
            if walking.next_change() is None or only_late(walking.next_bell()):
                break
            if len(self.steps) < STEPS_MAX:
                self.steps.append(walking.fork())
        self.foreseen: Sequence[Foreseen] = walking.foreseen
        self.private: Sequence[Foreseen] = walking.private


@dataclass(frozen=True, slots=True)
class Span:
    """While nothing changes of what a command is judged by."""

    outlook: Outlook
    """As it begins."""
    ends_at: datetime

    def refusal(self, command: Command, at: datetime | None = None) -> Refusal | None:
        """At its beginning, or at this instant of it. None: it is obeyed."""
        return refusal(self.outlook, command, at or self.outlook.now)


class Acts:
    """Of one order. `said`: all its events in order, of which is known what there is to act upon."""

    def __init__(self, outlook: Outlook, order_id: str, said: Iterable[Event], silence: Silence | None = None) -> None:
        self.order_id = order_id
        self.subjects = Subjects(said)
        self.silence = silence or Silence(outlook)
        self._spans: dict[tuple[str, ...], list[Span]] = {}

    @property
    def now(self) -> datetime:
        return self.silence.steps[0].now

    def of(self, actor: Actor) -> list[Act]:
        return [self._act(command, fixed) for command, fixed in self._tries(actor)]

    def at(self, instant: datetime) -> Outlook:
        """As it stands then if nobody acts before."""
        before = [step for step in self.silence.steps if step.now <= instant]
        return before[-1].fork(instant) if before else self.silence.steps[0].fork()

    def _tries(self, actor: Actor) -> Iterator[tuple[Command, Mapping[str, Any]]]:
        for decider in JUDGES.values():
            for model in decider.commands:
                if actor.role in model.by and model.type not in NOT_OF_ONE_ORDER and not issubclass(model, Resume):
                    yield from self.subjects.tries(model, self.order_id, actor, self.now)

    def _act(self, command: Command, fixed: Mapping[str, Any]) -> Act:
        spans = self._judged(command)
        first = spans[0].refusal(command)
        if first is None:
            return Act(command, first, None, self._until(command, spans), fixed)
        if available_at := _instant(first, "available_at"):
            within = [number for number, span in enumerate(spans) if span.outlook.now <= available_at][-1]
            if spans[within].refusal(command, available_at) is None:  # else there is more against it than the time
                return Act(command, first, available_at, self._until(command, spans[within:], available_at), fixed)
        for number, span in enumerate(spans[1:], 1):
            if span.refusal(command) is None:
                return Act(command, first, span.outlook.now, self._until(command, spans[number:]), fixed)
        return Act(command, first, None, None, fixed)

    @staticmethod
    def _until(command: Command, spans: Sequence[Span], at: datetime | None = None) -> datetime | None:
        """The last instant, of what is possible when the first of these begins, or at this instant in it."""
        for span, following in zip(spans, [*spans[1:], None], strict=True):
            at_the_end = span.refusal(command, max(span.ends_at, at or span.ends_at))
            if at_the_end is not None or following is None:
                return _instant(at_the_end, "lost_at")
            afterwards = following.refusal(command)
            if afterwards is not None:
                return _instant(afterwards, "lost_at") or span.ends_at
        return None

    def _judged(self, command: Command) -> list[Span]:
        """By whom: the service that takes it; what is answered later, by others too."""
        services = tuple(JUDGES) if command.pending else (TAKEN[command.type],)
        if services not in self._spans:
            self._spans[services] = list(self._over(services))
        return self._spans[services]

    def _over(self, services: tuple[str, ...]) -> Iterator[Span]:
        begins, known = self.silence.steps[0], self._known(self.silence.steps[0], services)
        for step in self.silence.steps[1:]:
            now = self._known(step, services)
            if any(one is not before for one, before in zip(now, known, strict=True)):
                yield Span(begins, self._changes(step))
                begins, known = step, now
        last = self.silence.steps[-1]
        yield Span(begins, last.now + FAR)

    def _changes(self, step: Outlook) -> datetime:
        """The instant whose passing led to this step."""
        before = self.silence.steps[self.silence.steps.index(step) - 1].next_change()
        assert before is not None
        return before

    def _known(self, step: Outlook, services: Iterable[str]) -> list[Any]:
        streams = (step.streams.get((service, self.order_id)) for service in services)
        return [None if stream is None else stream.state for stream in streams]


def refusal(outlook: Outlook, command: Command, at: datetime) -> Refusal | None:
    """Of one command at one instant; None: it is obeyed."""
    for said in outlook.decided(command, at):
        if isinstance(said, Refusal):
            return said
        if isinstance(said, Event) and said.topic is not None and said.type not in PENDING:
            return None
    event = outlook.answer(command, at)
    if event.type in PENDING:
        event = next((one.event for one in outlook.fork(at).say(command) if one.event.type == FINAL_NO), event)
    if isinstance(event, Rejected) or event.type == FINAL_NO:
        return Refusal(event.code, event.message, event.details)
    return None


def _instant(said: Refusal | None, name: str) -> datetime | None:
    found = ((said and said.details) or {}).get(name)
    return None if found is None else datetime.fromisoformat(found)
