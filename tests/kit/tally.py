"""A decider of the tests' own: an order is a sum to add to and promises that are missed if nobody keeps them.

Its words are known to the codec only while a test of this folder runs (conftest.py): they are no part of the contract.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.wire import Command, Event, Instant, Message, PrivateEvent, Rejected, Resume, Resumed
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.rules.policies import Policies


class Add(Command):
    type = "tally.add.v1"
    topic = "order.commands"

    amount: int


class Promise(Command):
    """Something is to happen by `due_at`: a deadline."""

    type = "tally.promise.v1"
    topic = "order.commands"

    name: str
    due_at: Instant
    subject: str = "it"


class Keep(Command):
    type = "tally.keep.v1"
    topic = "order.commands"

    name: str


class Added(Event):
    type = "tally.added.v1"
    topic = "order.events"

    amount: int
    total: int
    note: str = ""


class Promised(Event):
    type = "tally.promised.v1"
    topic = "order.events"

    name: str
    due_at: Instant
    subject: str


class Kept(Event):
    type = "tally.kept.v1"
    topic = "order.events"

    name: str


class Missed(Event):
    type = "tally.missed.v1"
    topic = "order.events"

    name: str
    subject: str


class Noted(PrivateEvent):
    """What another service said; nobody else's business."""

    type = "tally.noted.v1"

    due_at: Instant | None = None


class Told(Event):
    """Another service's event."""

    type = "tally.told.v1"
    topic = "dispute.events"

    due_at: Instant | None = None


class TallyRejected(Rejected):
    type = "tally.rejected.v1"
    topic = "order.events"


class TallyResume(Resume):
    type = "tally.resume.v1"
    topic = "order.commands"


class TallyResumed(Resumed):
    type = "tally.resumed.v1"
    topic = "order.events"


WORDS: dict[str, type[Message]] = {
    model.type: model
    for model in (
        *(Add, Promise, Keep, TallyResume),
        *(Added, Promised, Kept, Missed, Noted, Told, TallyRejected, TallyResumed),
    )
}
for word in WORDS:
    del Message.MODELS[word]


@dataclass(frozen=True)
class Tally:
    total: int = 0
    promises: tuple[Deadline, ...] = ()
    missed: tuple[str, ...] = ()


UNLUCKY = 13
"""A number that a decider with a bug cannot add."""


def decide(state: Tally | None, heard: Any, time: datetime, policies: Policies) -> Sequence[Output]:
    tally = state or Tally()
    match heard:
        case Add(amount=0):
            return [Refusal("invalid", "nothing to add")]
        case Add(amount=amount):
            return [Added(amount=amount, total=tally.total + amount)]
        case Promise(name=name, due_at=due_at, subject=subject):
            return [Promised(name=name, due_at=due_at, subject=subject)]
        case Keep(name=name) if any(promise.name == name for promise in tally.promises):
            return [Kept(name=name)]
        case Keep():
            return [Refusal("not_found", "no such promise")]
        case Deadline(name=name, subject=subject):
            return [Missed(name=name, subject=subject)]
        case Told(due_at=due_at):
            return [Noted(due_at=due_at)]
    raise AssertionError(heard)


def decide_with_a_bug(state: Tally | None, heard: Any, time: datetime, policies: Policies) -> Sequence[Output]:
    if isinstance(heard, Add) and heard.amount == UNLUCKY:
        raise ZeroDivisionError("unlucky")
    return decide(state, heard, time, policies)


def evolve(state: Tally | None, event: Event) -> Tally:
    tally = state or Tally()
    match event:
        case Added(total=total):
            return replace(tally, total=total)
        case Promised(name=name, due_at=due_at, subject=subject):
            return replace(tally, promises=(*tally.promises, Deadline(name, subject, due_at)))
        case Noted(due_at=datetime() as due_at):
            return replace(tally, promises=(*tally.promises, Deadline("told", "it", due_at)))
        case Kept(name=name):
            return replace(tally, promises=tuple(promise for promise in tally.promises if promise.name != name))
        case Missed(name=name, subject=subject):
            left = [promise for promise in tally.promises if (promise.name, promise.subject) != (name, subject)]
            return replace(tally, promises=tuple(left), missed=(*tally.missed, name))
    return tally


def deadlines(state: Tally | None) -> Iterable[Deadline]:
    return state.promises if state else ()


def tally(decide: Callable[..., Sequence[Output]] = decide, **other: Any) -> Decider[Tally]:
    about: dict[str, Any] = {
        "evolve": evolve,
        "deadlines": deadlines,
        "hears": (Told,),
        "deadline_names": ("first", "second", "third", "told"),
    }
    return Decider(service="order", decide=decide, rejected=TallyRejected, resumed=TallyResumed, **about | other)
