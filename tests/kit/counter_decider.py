"""A decider of the tests' own: an order is a sum to add to and promises that are missed if nobody keeps them.

Its words are known to the codec only while a test of this folder runs (conftest.py): they are no part of the contract.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.instants import Instant
from schemas.wire import Command, Event, Message, PrivateEvent, Rejected, Repeated, Resume, Resumed
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.kernel.policies import Policies


class Add(Command):
    type = "counter.add.v1"
    topic = "order.commands"

    amount: int


class Promise(Command):
    """Something is to happen by `due_at`: a deadline."""

    type = "counter.promise.v1"
    topic = "order.commands"

    name: str
    due_at: Instant
    subject: str = "it"


class Keep(Command):
    type = "counter.keep.v1"
    topic = "order.commands"

    name: str


class Added(Event):
    type = "counter.added.v1"
    topic = "order.events"

    amount: int
    total: int
    note: str = ""


class Promised(Event):
    type = "counter.promised.v1"
    topic = "order.events"

    name: str
    due_at: Instant
    subject: str


class Kept(Event):
    type = "counter.kept.v1"
    topic = "order.events"

    name: str


class Missed(Event):
    type = "counter.missed.v1"
    topic = "order.events"

    name: str
    subject: str


class Noted(PrivateEvent):
    """What another service said; nobody else's business."""

    type = "counter.noted.v1"

    due_at: Instant | None = None


class Told(Event):
    """Another service's event."""

    type = "counter.told.v1"
    topic = "dispute.events"

    due_at: Instant | None = None


class CountRejected(Rejected):
    type = "counter.rejected.v1"
    topic = "order.events"


class CountRepeated(Repeated):
    type = "counter.repeated.v1"
    topic = "order.events"


class CountResume(Resume):
    type = "counter.resume.v1"
    topic = "order.commands"


class CountResumed(Resumed):
    type = "counter.resumed.v1"
    topic = "order.events"


WORDS: dict[str, type[Message]] = {
    model.type: model
    for model in (
        *(Add, Promise, Keep, CountResume),
        *(Added, Promised, Kept, Missed, Noted, Told, CountRejected, CountRepeated, CountResumed),
    )
}
for word in WORDS:
    del Message.MODELS[word]


@dataclass(frozen=True)
class Count:
    total: int = 0
    promises: tuple[Deadline[str], ...] = ()
    missed: tuple[str, ...] = ()


UNLUCKY = 13
"""A number that a decider with a bug cannot add."""


def decide(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
    count = state or Count()
    match command:
        case Add(amount=0):
            return [Refusal("invalid", "nothing to add")]
        case Add(amount=amount):
            return [Added(amount=amount, total=count.total + amount)]
        case Promise(name=name, due_at=due_at, subject=subject):
            return [Promised(name=name, due_at=due_at, subject=subject)]
        case Keep(name=name) if any(promise.name == name for promise in count.promises):
            return [Kept(name=name)]
        case Keep():
            return [Refusal("not_found", "no such promise")]
    raise AssertionError(command)


def decide_with_a_bug(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
    if isinstance(command, Add) and command.amount == UNLUCKY:
        raise ZeroDivisionError("unlucky")
    return decide(state, command, now, policies)


def react(state: Count | None, event: Told, now: datetime, policies: Policies) -> Sequence[Output]:
    return [Noted(due_at=event.due_at)]


def expire(state: Count | None, deadline: Deadline[str], now: datetime, policies: Policies) -> Sequence[Output]:
    return [Missed(name=deadline.name, subject=deadline.subject)]


def evolve(state: Count | None, event: Event) -> Count:
    count = state or Count()
    match event:
        case Added(total=total):
            return replace(count, total=total)
        case Promised(name=name, due_at=due_at, subject=subject):
            return replace(count, promises=(*count.promises, Deadline(name, subject, due_at)))
        case Noted(due_at=datetime() as due_at):
            return replace(count, promises=(*count.promises, Deadline("told", "it", due_at)))
        case Kept(name=name):
            return replace(count, promises=tuple(promise for promise in count.promises if promise.name != name))
        case Missed(name=name, subject=subject):
            left = [promise for promise in count.promises if (promise.name, promise.subject) != (name, subject)]
            return replace(count, promises=tuple(left), missed=(*count.missed, name))
    return count


def deadlines(state: Count | None) -> Iterable[Deadline[str]]:
    return state.promises if state else ()


def counter_decider(**other: Any) -> Decider[Count, Command, Told]:
    about: dict[str, Any] = {
        "commands": (Add, Promise, Keep),
        "decide": decide,
        "subscriptions": (Told,),
        "react": react,
        "deadlines": deadlines,
        "deadline_names": ("first", "second", "third", "told"),
        "expire": expire,
        "evolve": evolve,
        "rejected": CountRejected,
        "repeated": CountRepeated,
        "resume": CountResume,
        "resumed": CountResumed,
    }
    return Decider(service="order", **about | other)
