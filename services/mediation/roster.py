"""The roster: who mediates, who has which seat, and which rounds wait for somebody (R48).

A stream of its own, across all orders. Cases tell it where their seats stand; it fills a wanted one as soon as it can.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.example import fields
from schemas.mediation.commands import AssignMediator, RegisterMediator, RetireMediator, Seat
from schemas.mediation.events import MediatorRegistered, MediatorRetired
from schemas.wire import Command, Event, Id, PrivateEvent
from services.mediation.seating import PLATFORM
from shared.kernel.decider import Output, Refusal, Send
from shared.rules.refusals import who_may


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


@dataclass(frozen=True, slots=True)
class Registered:
    capacity: int
    email: str | None
    locale: str | None


SeatKey = tuple[str, str]
"""(order_id, dispute_id)"""


@dataclass(frozen=True, slots=True)
class Roster:
    active: Mapping[str, Registered] = field(default_factory=dict)
    """Those who get new cases."""
    retired: frozenset[str] = frozenset()
    taken: Mapping[SeatKey, str] = field(default_factory=dict)
    waiting: Mapping[SeatKey, tuple[str, ...]] = field(default_factory=dict)
    """Who must not get it; the longest waiting first."""


def decide(roster: Roster, message: Command) -> list[Output]:
    if not isinstance(message, RegisterMediator | RetireMediator):
        return [Refusal("not_found", "These are the mediators; there is no dispute here.")]
    if isinstance(message, RetireMediator) and message.mediator_id not in roster.active.keys() | roster.retired:
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


def hear(roster: Roster, seat: Seat) -> list[Output]:
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


def _serve(roster: Roster, event: Event) -> list[Output]:
    """What has happened, and then every waiting round that it makes room for, the longest waiting first."""
    said: list[Output] = [event]
    roster = evolve(roster, event)
    loads = Counter(roster.taken.values())
    room = {one for one, registered in roster.active.items() if loads[one] < registered.capacity}
    for (order_id, dispute_id), not_these in roster.waiting.items():
        if not room:
            break
        candidates = room.difference(not_these)
        if not candidates:
            continue  # all who have room had this case before
        chosen = min(candidates, key=lambda one: (loads[one], one))
        about = roster.active[chosen]
        said += [
            SeatGiven(case_order_id=order_id, dispute_id=dispute_id, mediator_id=chosen),
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
        loads[chosen] += 1
        if loads[chosen] >= about.capacity:
            room.remove(chosen)
    return said


def evolve(roster: Roster, event: Event) -> Roster:
    match event:
        case MediatorRegistered(mediator_id=mediator_id):
            registered = Registered(event.capacity, event.email, event.locale)
            active = {**roster.active, mediator_id: registered}
            return replace(roster, active=active, retired=roster.retired - {mediator_id})
        case MediatorRetired(mediator_id=mediator_id):
            active = {one: registered for one, registered in roster.active.items() if one != mediator_id}
            return replace(roster, active=active, retired=roster.retired | {mediator_id})
        case SeatNoted() | SeatGiven():
            seat = (event.case_order_id, event.dispute_id)
            taken, waiting = dict(roster.taken), dict(roster.waiting)
            taken.pop(seat, None)
            waiting.pop(seat, None)
            if isinstance(event, SeatNoted) and event.wanted:
                waiting[seat] = event.not_these
            elif event.mediator_id is not None:
                taken[seat] = event.mediator_id
            return replace(roster, taken=taken, waiting=waiting)
    return roster
