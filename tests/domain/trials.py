"""Every command in every state, and what became of it: the desks of the decision tables and what their columns say,
while the clocks of a state run, and behind each of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, partial
from typing import Any, Final

from schemas.instants import rfc3339
from schemas.timer.commands import CancelTimer, Schedule
from schemas.wire import MEDIATORS_KEY, Actor, Command, Message, PrivateEvent, Rejected, Reply, Resume
from services.composition import DECIDERS
from services.dispute import case as disputes
from services.mediation import case as cases
from services.mediation.states import Cases
from services.order import states as orders
from services.refund import states as movements
from services.refund.movement import leg_key
from shared.kernel.decider import Deadline
from tests.domain import dispute_desk, order_desk, refund_desk, test_dispute, test_mediation, test_order, test_refund
from tests.domain.dispute_desk import DisputeDesk, days, desk_in, photo
from tests.domain.mediation_room import room_at
from tests.domain.order_desk import OrderDesk
from tests.domain.refund_desk import RefundDesk
from tests.domain.table import NOON, Desk
from tests.domain.test_mediation_roster import Office
from tests.domain.test_notification_resending import Box, resend

UNTOLD: Final = "nothing of the kind is told"
A_MOMENT = timedelta(milliseconds=1)
OPERATOR = Actor(role="operator", id="olga")
SELLER = order_desk.SELLER
SERVICE = Actor(role="platform", id="order")

Act = Callable[[Any], Any]


@dataclass(frozen=True)
class Trial:
    """One command, and what was said because of it: types of events, but for what is private."""

    type: str
    role: str
    status: str | None
    """Of what it is about, when it came."""
    said: tuple[str, ...]
    again: tuple[str, ...]
    """When it came once more."""
    later: tuple[str, ...] = ()
    """What others said brought about of it, and names it."""
    code: str | None = None
    """Why it was refused."""
    lost: tuple[str, ...] = ()
    """The clocks that ran out at the instant that the refusal names."""


def _order(state: orders.Order | None, command: Any) -> str | None:
    return None if state is None else orders.status(state)


def _dispute(state: Any, command: Any) -> str | None:
    found = (state or {}).get(command.dispute_id)
    return None if found is None else disputes.STATUS[type(found)]


def _case(state: Any, command: Any) -> str | None:
    if command.key == MEDIATORS_KEY:
        return UNTOLD
    found = state.of.get(command.dispute_id) if isinstance(state, Cases) else None
    return None if found is None else cases.status(found)


def _movement(state: Any, command: Any) -> str | None:
    if not hasattr(command, "leg"):
        return UNTOLD
    leg = state.legs.get(leg_key(command.settlement_id, command.leg)) if state is not None else None
    return None if leg is None else movements.stage(leg, getattr(state, "on_hold", False))


STATUS: Mapping[str, Callable[[Any, Any], str | None]] = {
    "order": _order,
    "dispute": _dispute,
    "mediation": _case,
    "refund": _movement,
    "notification": lambda state, command: UNTOLD,
    "timer": lambda state, command: UNTOLD,
}


def _part_refunding(desk: OrderDesk) -> None:
    """A refund of what came is on its way, and the rest may still be shipped."""
    order_desk.part_disputed(desk)
    desk.close("decided", 100)


def _payout_failed(desk: RefundDesk) -> None:
    desk.place()
    desk.release(1_000)
    desk.failed("account_closed", retryable=False, key="s1/payout")


def _chargeback_failed(desk: RefundDesk) -> None:
    desk.place()
    desk.settle(0, 0, 500)
    desk.failed("account_closed", retryable=False, key="s1/chargeback")


def _ordered(builder: Callable[[OrderDesk], None]) -> OrderDesk:
    desk = OrderDesk()
    builder(desk)
    desk.wait(hours=1)
    return desk


def _disputed(state: str, **wait: float) -> DisputeDesk:
    """No two of its clocks end at once."""
    desk = desk_in(state, auto_escalation=days(20), return_confirm=days(12))
    desk.wait(**wait)
    return desk


def _moved(builder: Callable[[RefundDesk], None]) -> RefundDesk:
    desk = RefundDesk()
    builder(desk)
    return desk


ORDERS: Sequence[Callable[[], Desk]] = [
    partial(_ordered, builder) for builder in (*order_desk.STATES.values(), _part_refunding)
]
DISPUTES: Sequence[Callable[[], Desk]] = [
    *(partial(_disputed, state) for state in dispute_desk.STATES),
    partial(_disputed, "awaiting_seller", days=8),
]
PATHS = {
    line.split()[0]
    for table in (test_mediation.ROUNDS, test_mediation.TALK, test_mediation.OFFERS)
    for line in table.strip().splitlines()[1:]
} | {"assigned>solution>asked_buyer", "assigned>solution>asked_seller", "assigned>solution>asked_both"}
CASES: Sequence[Callable[[], Desk]] = [partial(room_at, path) for path in sorted(PATHS)]
MOVEMENTS: Sequence[Callable[[], Desk]] = [
    partial(_moved, builder) for builder in (*refund_desk.STATES.values(), _payout_failed, _chargeback_failed)
]

ORDER_ACTS: Mapping[str, Act] = test_order.COMMANDS | {
    "given_back_by_an_operator": lambda desk: desk.give_back(OPERATOR, hat=100),
}
DISPUTE_ACTS: Mapping[str, Act] = {name: act for name, act in test_dispute.INPUTS.items() if name != "silence"} | {
    "opened": lambda desk: (desk.request(), desk.freeze()),
    "not_opened": lambda desk: (desk.request(), desk.refuse_freeze()),
    "seller_shows": lambda desk: desk.show(photo("s9"), by=SELLER),
    "seller_writes": lambda desk: desk.write(SELLER),
    "seller_appeals": lambda desk: desk.appeal(SELLER),
    "seller_waives": lambda desk: desk.waive(SELLER),
}
MOVEMENT_ACTS: Mapping[str, Act] = test_refund.HEARD | {
    "resolve_payout": lambda desk: desk.resolve(leg="payout"),
    "resolve_chargeback": lambda desk: desk.resolve(leg="chargeback"),
}


@cache
def trials() -> tuple[Trial, ...]:
    return (
        *_in_time(ORDERS, ORDER_ACTS),
        *_in_time(DISPUTES, DISPUTE_ACTS),
        *_in_time(CASES, test_mediation.SAY),
        *(trial for make in MOVEMENTS for act in MOVEMENT_ACTS.values() for trial in _tried(make(), act)),
        *_tried(Office(), lambda office: office.register("m1")),
        *_tried(Office(), lambda office: office.retire("m1")),
        *_tried(Office(), lambda office: (office.register("m1"), office.retire("m1"))),
        *_tried(Box("given_up"), lambda box: box.send(resend())),
        *_tried(Desk(DECIDERS["timer"]), _sets_timers),
        *(trial for name in DECIDERS for trial in _goes_on(name)),
    )


def _in_time(desks: Sequence[Callable[[], Desk]], acts: Mapping[str, Act]) -> Iterator[Trial]:
    """Each act while all clocks run, and behind each that does."""
    for make in desks:
        known = make()
        running = list(known.decider.deadlines(known.state))
        for act in acts.values():
            yield from _tried(make(), act)
            for instant in sorted({one.due_at for one in running}):
                desk = make()
                desk.now = instant + A_MOMENT
                desk.ring()
                yield from _tried(desk, act, running)


def _tried(desk: Desk, act: Act, ran: Sequence[Deadline[str]] = ()) -> Iterator[Trial]:
    """`ran`: the clocks that ran before."""
    sent: list[tuple[Command, str, str | None, list[Message]]] = []
    send = desk.send

    def noting(command: Command, id: str | None = None) -> list[Message]:  # noqa: A002 - the wire's word
        status = STATUS[desk.decider.service](desk.state, command)
        id_ = id or f"command-{len(sent)}"
        said = send(command, id_)
        sent.append((command, id_, status, said))
        return said

    desk.send = noting  # type: ignore[method-assign]
    act(desk)
    for command, id_, status, said in sent:
        later = [one for one in desk.history if getattr(one, "command_id", None) == id_ and not isinstance(one, Reply)]
        trial = _trial(command, status, said, send(command, id_), ran)
        yield replace(trial, later=tuple(one.type for one in later if one not in said))


def _trial(
    command: Command,
    status: str | None,
    said: Sequence[Message],
    again: Sequence[Message],
    ran: Sequence[Deadline[str]] = (),
) -> Trial:
    refusal = next((one for one in said if isinstance(one, Rejected)), None)
    lost_at = (refusal.details or {}).get("lost_at") if refusal is not None else None
    return Trial(
        command.type,
        command.actor.role,
        status,
        _aloud(said),
        _aloud(again),
        code=None if refusal is None else refusal.code,
        lost=tuple(one.name for one in ran if rfc3339(one.due_at) == lost_at),
    )


def _aloud(said: Sequence[Message]) -> tuple[str, ...]:
    return tuple(one.type for one in said if not isinstance(one, Schedule | PrivateEvent))


def _sets_timers(desk: Desk) -> None:
    about: dict[str, Any] = {"order_id": "order-1", "actor": SERVICE, "timer_id": "order/order-1"}
    desk.send(Schedule(**about, name="processing_ends", due_at=NOON, deliver_to="order"))
    desk.send(CancelTimer(**about))


def _goes_on(name: str) -> Iterator[Trial]:
    """A parked order, and one that is not."""
    decider = DECIDERS[name]
    assert decider.resume is not None
    wish: Resume = decider.resume(order_id="order-1", actor=OPERATOR)
    for waited in (True, False):
        desk = Desk(decider)
        said, again = (
            desk._take(wish, wish.type, own=True, id="resume-1", digest=b"resume", waited=waited) for _ in range(2)
        )
        yield _trial(wish, UNTOLD, said, again)
