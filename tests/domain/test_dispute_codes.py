"""Of all reasons for which a command can be refused at once the answer is the one that the contract names first.

Each reason is a change of a command that would be obeyed, or of where its dispute stands; every pair of them is played.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from typing import Any, get_args

import pytest

from schemas.dispute import commands
from schemas.wire import Actor, Code, Message, Rejected, Role
from tests.domain import dispute_desk, mediation_room
from tests.domain.dispute_desk import BUYER, SELLER, DisputeDesk, desk_in, goods_back, photo, photos, refund
from tests.domain.mediation_room import CLAIMED_MINOR, Room, room_at
from tests.domain.test_dispute_strangers import placed_desk

STRANGER: Mapping[Role, Actor] = {role: Actor(role=role, id="nobody") for role in get_args(Role)}


@dataclass
class Act:
    """What is said, as far as a reason changes it."""

    state: str = ""
    by: Actor = BUYER
    late: bool = False
    data: dict[str, Any] = field(default_factory=dict)


Reason = tuple[Code, Callable[[Act], Any]]


def stranger(act: Act) -> None:
    act.by = STRANGER[act.by.role]


def late(act: Act) -> None:
    act.late = True


def put(**data: Any) -> Callable[[Act], None]:
    """Two reasons that change the same field exclude each other."""

    def change(act: Act) -> None:
        assert not act.data.keys() & data.keys(), "they cannot apply at once"
        act.data |= data

    return change


def stands(state: str) -> Callable[[Act], None]:
    def change(act: Act) -> None:
        assert not act.state, "they cannot apply at once"
        act.state = state

    return change


SUPERSEDES_NOTHING: Reason = ("not_found", put(evidence=(photo("new", supersedes="none"),)))
FILED_BEFORE: Reason = ("already_exists", put(evidence=(photo("p0"),)))
TOO_MANY: Reason = ("limit_exceeded", put(evidence=photos("many", 21)))
BOTH_WRONG: Reason = ("not_found", put(evidence=(photo("p0"), photo("new", supersedes="none"))))

DISPUTES: Mapping[type[commands.DisputeCommand], tuple[str, Actor, dict[str, Any], list[Reason]]] = {
    commands.OpenDispute: (
        "unknown",
        BUYER,
        {"received": True, "reason": "damaged", "description": "Torn", "terms": refund(1)},
        [
            SUPERSEDES_NOTHING,
            TOO_MANY,
            ("already_exists", stands("negotiating")),
            ("already_exists", stands("closed")),
            ("not_allowed", stranger),
            ("not_allowed", put(terms=dispute_desk.NOTHING)),
        ],
    ),
    commands.ModifyDispute: (
        "negotiating",
        BUYER,
        {},
        [
            ("invalid", put(terms=goods_back(1), reason="late")),
            SUPERSEDES_NOTHING,
            FILED_BEFORE,
            BOTH_WRONG,
            TOO_MANY,
            ("not_allowed", stranger),
            ("not_allowed", put(terms=dispute_desk.NOTHING)),
            ("wrong_state", stands("closed")),
            ("wrong_state", stands("in_mediation")),
            ("amount_exceeds", put(terms=refund(9_999))),
        ],
    ),
    commands.AddEvidence: (
        "negotiating",
        BUYER,
        {},
        [
            SUPERSEDES_NOTHING,
            FILED_BEFORE,
            BOTH_WRONG,
            TOO_MANY,
            ("not_allowed", stranger),
            ("wrong_state", stands("closed")),
        ],
    ),
    commands.MakeOffer: (
        "awaiting_seller",
        SELLER,
        {},
        [
            ("not_allowed", stranger),
            ("too_late", late),
            ("wrong_state", stands("in_mediation")),
            ("amount_exceeds", put(terms=refund(9_999))),
        ],
    ),
    commands.AcceptOffer: (
        "negotiating",
        BUYER,
        {},
        [
            ("not_found", put(offer_id=99)),
            ("not_allowed", stranger),
            ("not_allowed", put(offer_id=1)),
            ("wrong_state", stands("closed")),
            ("wrong_state", stands("decided")),
            ("consequence_changed", put(expect="reopenable")),
        ],
    ),
    commands.CancelDispute: (
        "negotiating",
        BUYER,
        {},
        [
            ("not_allowed", stranger),
            ("wrong_state", stands("return_shipped")),
            ("consequence_changed", put(expect="released_to_seller")),
        ],
    ),
    commands.Escalate: (
        "awaiting_seller",
        BUYER,
        {},
        [("not_allowed", stranger), ("wrong_state", stands("closed")), ("too_early", stands("awaiting_seller"))],
    ),
    commands.ContestReturn: (
        "return_shipped",
        SELLER,
        {"reason": "empty", "description": "A stone", "evidence": (photo("stone"),)},
        [
            SUPERSEDES_NOTHING,
            FILED_BEFORE,
            TOO_MANY,
            ("not_allowed", stranger),
            ("too_late", late),
            ("wrong_state", stands("closed")),
        ],
    ),
    commands.Appeal: (
        "decided",
        BUYER,
        {"explanation": "No."},
        [
            SUPERSEDES_NOTHING,
            FILED_BEFORE,
            TOO_MANY,
            ("not_allowed", stranger),
            ("not_allowed", stands("decided+waived")),
            ("too_late", late),
        ],
    ),
}
CLOCKS = {
    commands.MakeOffer: "seller_first_response",
    commands.ContestReturn: "return_confirm",
    commands.Appeal: "appeal_window",
}


def first(*codes: Code) -> Code:
    return min(codes, key=get_args(Code).index)


def changed(act: Act, reasons: tuple[Reason, ...]) -> bool:
    """With all these; whether they can apply at once."""
    try:
        for _, change in reasons:
            change(act)
    except AssertionError:
        return False
    return True


def said_of(said: list[Message]) -> Code:
    (refused,) = [message for message in said if isinstance(message, Rejected)]
    return refused.code


@pytest.mark.parametrize("command", DISPUTES, ids=lambda model: model.type)
def test_in_a_dispute_the_first_of_two_reasons_is_told(command: type[commands.DisputeCommand]) -> None:
    state, by, data, reasons = DISPUTES[command]
    played = 0
    for some in [*((one,) for one in reasons), *combinations(reasons, 2)]:
        act = Act(by=by)
        if not changed(act, some):
            continue
        about: dict[str, Any] = {"terms": refund(1), "offer_id": 2, "expect": "reopenable", "evidence": (photo("new"),)}
        about = {name: value for name, value in about.items() if name in command.model_fields}
        if command is commands.AcceptOffer:
            about.pop("expect")
        desk = _desk(act.state or state, filed=command is not commands.OpenDispute)
        if act.late and not act.state:
            desk.past(CLOCKS[command])
        elif act.late:
            continue  # the state has no such clock
        said = desk.say(command, act.by, **(about | data | act.data))
        assert said_of(said) == first(*(code for code, _ in some)), [code for code, _ in some]
        played += 1
    assert played >= len(reasons)


def _desk(state: str, filed: bool) -> DisputeDesk:
    name, _, waived = state.partition("+")
    desk = placed_desk() if name == "unknown" else desk_in(name)
    if filed and name not in ("decided", "closed", "unknown"):
        desk.show(photo("p0"))
    elif filed and name in ("decided", "closed"):
        desk = DisputeDesk()
        desk.open(evidence=(photo("p0"),))
        desk.reject()
        if name == "closed":
            desk.accept(2)
        else:
            desk.escalate()
            desk.decide()
    if waived:
        desk.waive()
    return desk


def test_who_waived_his_appeal_is_told_that_after_the_window_too() -> None:
    desk = desk_in("decided")
    desk.waive()
    desk.past("appeal_window")
    assert said_of(desk.appeal()) == "not_allowed"
    assert said_of(desk.appeal(SELLER)) == "too_late"


@pytest.mark.parametrize(("offer_id", "by"), [(1, BUYER), (2, SELLER)])
@pytest.mark.parametrize("state", ["negotiating", "in_mediation", "decided", "closed"])
@pytest.mark.rule("R21")
def test_ones_own_offer_is_ones_own_in_whatever_state(state: str, offer_id: int, by: Actor) -> None:
    assert said_of(_desk(state, filed=True).accept(offer_id, by)) == "not_allowed"


@pytest.mark.rule("R21")
@pytest.mark.parametrize("path", ["solution", "solution>run_out", "solution>accepted_3", "solution>cancelled"])
def test_so_it_is_in_mediation(path: str) -> None:
    assert said_of(room_at(path).accept(1, mediation_room.BUYER)) == "not_allowed"
    assert said_of(room_at(path).accept(3, mediation_room.SELLER)) == "not_allowed"


@pytest.mark.parametrize("over", [False, True], ids=["in_round", "over"])
@pytest.mark.parametrize("strange", [False, True], ids=["his", "stranger"])
def test_in_mediation_the_first_of_all_reasons_is_told(over: bool, strange: bool) -> None:
    """What is wrong of itself, who says it, whether the round is over, too much, another offer, another expectation."""
    path = "assigned>asked_both>solution" + (">decided" if over else "")
    nobody = Actor(role="buyer", id="nobody")
    buyer = nobody if strange else mediation_room.BUYER
    seller = Actor(role="seller", id="nobody") if strange else mediation_room.SELLER
    mediator = "m9" if strange else "m1"
    who: list[Code] = ["not_allowed"] if strange else []
    when: list[Code] = ["wrong_state"] if over else []

    def told(say: Callable[[Room], list[Message]], *codes: Code, received: bool = True) -> None:
        assert said_of(say(room_at(path, received=received))) == first(*codes, *who, *when)

    told(lambda room: room.decide(1, mediator, evidence_ids=("none",)), "not_found")
    told(lambda room: room.decide(CLAIMED_MINOR + 1, mediator), "amount_exceeds")
    told(lambda room: room.decide(CLAIMED_MINOR + 1, mediator, evidence_ids=("none",)), "amount_exceeds", "not_found")
    told(lambda room: room.decide(1, mediator, True, ("none",)), "invalid", "not_found", received=False)
    told(lambda room: room.offer(CLAIMED_MINOR + 1, by=seller), "amount_exceeds")
    told(lambda room: room.offer(CLAIMED_MINOR + 1, "replacement", seller), "amount_exceeds", "not_allowed")
    told(lambda room: room.offer(CLAIMED_MINOR + 1, "return_and_refund", seller), "invalid", received=False)
    told(lambda room: room.accept(9, buyer, expect="reopenable"), "not_found", "consequence_changed")
    told(lambda room: room.accept(1, buyer, expect="reopenable"), "not_allowed", "consequence_changed")
    told(lambda room: room.accept(2, buyer, expect="reopenable"), "offer_superseded", "consequence_changed")
    told(lambda room: room.accept(3, buyer, expect="reopenable"), "consequence_changed")
    told(lambda room: room.decline(9, buyer), "not_found")
    told(lambda room: room.decline(2, buyer), "offer_superseded")
    told(lambda room: room.ask("both", "q1", mediator), "already_exists")
    told(lambda room: room.answer(buyer, "q9"), "not_found")
    told(lambda room: room.answer(buyer, shows=("p1",)), "already_exists")
    told(lambda room: room.answer(buyer, shows=("p1",), supersedes="none"), "not_found", "already_exists")
    told(lambda room: room.answer(buyer, shows=("new",), supersedes="s1"), "not_allowed")
    told(lambda room: room.cancel("reopenable", buyer), "consequence_changed")


def test_an_answer_too_late_is_told_before_its_round_is_over() -> None:
    room = room_at("assigned>asked_both")
    room.until("answer")
    room.ring()
    room.now += timedelta(days=1)
    assert said_of(room.answer(mediation_room.BUYER)) == "too_late"
    assert said_of(room.answer(Actor(role="buyer", id="nobody"))) == "not_allowed"
