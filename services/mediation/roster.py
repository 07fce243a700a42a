"""The roster: who mediates, who has which seat, and which rounds wait for somebody (R48).

A stream of its own, across all orders. Cases tell it where their seats stand; it fills a wanted one as soon as it can.
As it never ends it is kept whole now and then, so that who loads it reads what is open and not all that ever was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from schemas.common import LetterLocale
from schemas.example import fields
from schemas.mediation.commands import AssignMediator, RegisterMediator, RetireMediator, Seat
from schemas.mediation.events import MediatorRegistered, MediatorRetired, RosterEvent
from schemas.mediation.shapes import MediatorEmail
from schemas.wire import Command, Event, Id, PrivateEvent, Shape
from services.mediation.seating import PLATFORM
from shared.kernel.decider import Output, Refusal, Send
from shared.rules.refusals import who_may
from shared.rules.sorted_map import SortedMap

RETIRED_KNOWN_MAX = 1_000
"""Of who retired longer ago nothing is known any more."""
EVENTS_SINCE_KEPT_MAX = 1_000
"""Or as many as there are seats, where they are more: keeping it whole costs as much as it holds."""


class SeatNoted(PrivateEvent):
    """A case told where its seat stands: wanted, taken by somebody, or free and not wanted."""

    type = "mediation.seat_noted.v1"
    example = fields(
        order_id="mediators",
        actor={"role": "platform", "id": "shop"},
        case_order_id="A-1001",
        dispute_id="A-1001.d1",
        mediator_id=None,
        wanted=True,
        not_these=["max"],
    )

    case_order_id: Id
    dispute_id: Id
    mediator_id: Id | None
    wanted: bool
    not_these: tuple[Id, ...]


class SeatGiven(PrivateEvent):
    """A waiting case was given to somebody; he has it unless the case says otherwise."""

    type = "mediation.seat_given.v1"
    example = fields(order_id="mediators", case_order_id="A-1001", dispute_id="A-1001.d1", mediator_id="mia")

    case_order_id: Id
    dispute_id: Id
    mediator_id: Id


class KeptMediator(Shape):
    """One who gets new cases."""

    id: Id
    capacity: int
    email: MediatorEmail = None
    locale: LetterLocale = None


class RosterKept(PrivateEvent):
    """The whole roster, as it stands after all that was said before."""

    type = "mediation.roster_kept.v1"
    is_snapshot = True
    example = fields(
        order_id="mediators",
        active=[{"id": "mia", "capacity": 20, "email": "mia@example.com", "locale": "en"}],
        retired=["max"],
        taken=[["A-1001", "A-1001.d1", "mia"]],
        waiting=[[7, "A-1002", "A-1002.d1", ["mia"]]],
        last_number=7,
    )

    active: tuple[KeptMediator, ...]
    retired: tuple[Id, ...]
    taken: tuple[tuple[Id, Id, Id], ...]
    """(order, dispute, mediator) each."""
    waiting: tuple[tuple[int, Id, Id, tuple[Id, ...]], ...]
    """(number, order, dispute, who must not get it) each."""
    last_number: int


@dataclass(frozen=True, slots=True)
class Registered:
    capacity: int
    email: str | None
    locale: str | None


SeatKey = tuple[str, str]
"""(order_id, dispute_id)"""


@dataclass(frozen=True, slots=True)
class Waiting:
    seat: SeatKey
    barred: frozenset[str]
    """Who must not get it."""


def _barred(waiting: Waiting) -> frozenset[str]:
    return waiting.barred


@dataclass(frozen=True, slots=True)
class Roster:
    active: Mapping[str, Registered] = field(default_factory=dict)
    """Those who get new cases."""
    retired: tuple[str, ...] = ()
    """The last of them last."""
    taken: SortedMap[SeatKey, str] = field(default_factory=SortedMap)
    waiting: SortedMap[SeatKey, int] = field(default_factory=SortedMap)
    """Its number in the queue."""
    queue: SortedMap[int, Waiting] = field(default_factory=lambda: SortedMap(marks=_barred))
    """The longest waiting first."""
    last_number: int = 0
    loads: SortedMap[str, int] = field(default_factory=SortedMap)
    """Of everybody who has a seat, how many."""
    free: SortedMap[tuple[int, str], str] = field(default_factory=SortedMap)
    """(load, id) of the active who have room."""
    since_kept: int = 0
    """Events since it was kept whole."""


def decide(roster: Roster, message: Command) -> list[Output]:
    if not isinstance(message, RegisterMediator | RetireMediator):
        return [Refusal("not_found", "These are the mediators; there is no dispute here.")]
    if isinstance(message, RetireMediator) and not {message.mediator_id} & {*roster.active, *roster.retired}:
        return [Refusal("not_found", f"There is no mediator {message.mediator_id}.")]
    if refusal := who_may(message, {}):
        return [refusal]
    match message:
        case RegisterMediator():
            return _serve(
                roster,
                MediatorRegistered(
                    mediator_id=message.mediator_id,
                    capacity=message.capacity,
                    email=message.email,
                    locale=message.locale,
                ),
            )
        case RetireMediator(mediator_id=mediator_id) if mediator_id in roster.retired:
            return [Refusal("wrong_state", f"The mediator {mediator_id} is retired already.")]
        case RetireMediator(mediator_id=mediator_id):
            return [MediatorRetired(mediator_id=mediator_id)]
        case _:
            assert_never(message)


def hear(roster: Roster, seat: Seat) -> list[Output]:
    """Nothing, if the roster knows: it gave the seat itself, or the round is over."""
    key = (seat.order_id, seat.dispute_id)
    if not seat.wanted and key not in roster.waiting and roster.taken.get(key) == seat.mediator_id:
        return []
    return _serve(
        roster,
        SeatNoted(
            case_order_id=seat.order_id,
            dispute_id=seat.dispute_id,
            mediator_id=seat.mediator_id,
            wanted=seat.wanted,
            not_these=seat.except_,
        ),
    )


def _serve(roster: Roster, event: RosterEvent | SeatNoted) -> list[Output]:
    """What has happened, and then every waiting round that it makes room for, the longest waiting first."""
    said: list[Output] = [event]
    roster = evolve(roster, event)
    while (found := _next(roster)) is not None:
        (order_id, dispute_id), chosen = found
        about = roster.active[chosen]
        given = SeatGiven(case_order_id=order_id, dispute_id=dispute_id, mediator_id=chosen)
        said += [
            given,
            Send(
                AssignMediator(
                    order_id=order_id,
                    actor=PLATFORM,
                    dispute_id=dispute_id,
                    mediator_id=chosen,
                    email=about.email,
                    locale=about.locale,
                ),
                "mediation.roster",
            ),
        ]
        roster = evolve(roster, given)
    if roster.since_kept >= max(EVENTS_SINCE_KEPT_MAX, len(roster.taken) + len(roster.waiting)):
        said.append(_kept(roster))
    return said


def _next(roster: Roster) -> tuple[SeatKey, str] | None:
    """The longest waiting round that somebody with room may have, and of them the least loaded."""
    if not roster.queue or not roster.free:
        return None
    first = next(iter(roster.queue.values()))
    if (chosen := _least_loaded(roster, first)) is not None:
        return first.seat, chosen
    # All who have room had this case before, or are its parties: so there are few of them, however many wait.
    others = [found for who in roster.free.values() if (found := roster.queue.first_without(who)) is not None]
    first = min(others, key=lambda one: roster.waiting[one.seat], default=first)
    chosen = _least_loaded(roster, first)
    return None if chosen is None else (first.seat, chosen)


def _least_loaded(roster: Roster, waiting: Waiting) -> str | None:
    return next((who for who in roster.free.values() if who not in waiting.barred), None)


def evolve(roster: Roster, event: Event) -> Roster:
    roster = replace(roster, since_kept=roster.since_kept + 1)
    match event:
        case MediatorRegistered(mediator_id=who):
            active = {**roster.active, who: Registered(event.capacity, event.email, event.locale)}
            retired = tuple(one for one in roster.retired if one != who)
            return _loaded(replace(roster, active=active, retired=retired), who, 0)
        case MediatorRetired(mediator_id=who):
            active = {one: registered for one, registered in roster.active.items() if one != who}
            retired = (*roster.retired, who)[-RETIRED_KNOWN_MAX:]
            return _loaded(replace(roster, active=active, retired=retired), who, 0)
        case SeatNoted() | SeatGiven():
            seat = (event.case_order_id, event.dispute_id)
            roster = _emptied(roster, seat)
            if isinstance(event, SeatNoted) and event.wanted:
                return _queued(roster, roster.last_number + 1, Waiting(seat, frozenset(event.not_these)))
            return roster if event.mediator_id is None else _taken(roster, seat, event.mediator_id)
        case RosterKept():
            return replace(roster, since_kept=0)
    return roster


def restored(kept: RosterKept) -> Roster:
    """Who has nothing else reads it all from here."""
    active = {one.id: Registered(one.capacity, one.email, one.locale) for one in kept.active}
    roster = Roster(active=active, retired=kept.retired)
    for who in active:
        roster = _loaded(roster, who, 0)
    for order_id, dispute_id, mediator_id in kept.taken:
        roster = _taken(roster, (order_id, dispute_id), mediator_id)
    for number, order_id, dispute_id, barred in kept.waiting:
        roster = _queued(roster, number, Waiting((order_id, dispute_id), frozenset(barred)))
    return replace(roster, last_number=kept.last_number)


def _kept(roster: Roster) -> RosterKept:
    return RosterKept(
        active=tuple(
            KeptMediator(id=who, capacity=one.capacity, email=one.email, locale=one.locale)
            for who, one in roster.active.items()
        ),
        retired=roster.retired,
        taken=tuple((*seat, who) for seat, who in roster.taken.items()),
        waiting=tuple((number, *one.seat, tuple(sorted(one.barred))) for number, one in roster.queue.items()),
        last_number=roster.last_number,
    )


def _emptied(roster: Roster, seat: SeatKey) -> Roster:
    """Nobody has it, and nobody waits for it."""
    if (who := roster.taken.get(seat)) is not None:
        return _loaded(replace(roster, taken=roster.taken.without(seat)), who, -1)
    if (number := roster.waiting.get(seat)) is not None:
        return replace(roster, waiting=roster.waiting.without(seat), queue=roster.queue.without(number))
    return roster


def _taken(roster: Roster, seat: SeatKey, who: str) -> Roster:
    return _loaded(replace(roster, taken=roster.taken.put(seat, who)), who, 1)


def _queued(roster: Roster, number: int, waiting: Waiting) -> Roster:
    return replace(
        roster,
        waiting=roster.waiting.put(waiting.seat, number),
        queue=roster.queue.put(number, waiting),
        last_number=number,
    )


def _loaded(roster: Roster, who: str, more: int) -> Roster:
    """He has so many more seats; whether he has room follows from that and from how he is registered."""
    before = roster.loads.get(who, 0)
    load, registered = before + more, roster.active.get(who)
    free = roster.free.without((before, who))
    if registered is not None and load < registered.capacity:
        free = free.put((load, who), who)
    loads = roster.loads.put(who, load) if load else roster.loads.without(who)
    return replace(roster, loads=loads, free=free)
