"""The roster gives each waiting round to the least loaded mediator with room (R48)."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.mediation.commands import AskQuestion, AssignMediator, RegisterMediator, RetireMediator, Seat
from schemas.mediation.events import MediatorRegistered, MediatorRetired
from schemas.wire import MEDIATORS_KEY, Actor, Message
from services.mediation.case import InRound
from services.mediation.domain import DECIDER
from tests.domain.mediation_room import BUYER, OPERATOR, ROSTER, Room, mediator
from tests.domain.table import Desk, cells, outcome


class Office(Desk):
    """The roster's stream."""

    def __init__(self) -> None:
        super().__init__(DECIDER, order_id=MEDIATORS_KEY)

    def register(self, who: str, capacity: int = 1, by: Actor = OPERATOR, **more: Any) -> list[Message]:
        return self.send(
            RegisterMediator(order_id="mediators", actor=by, mediator_id=who, capacity=capacity, **more),
        )

    def retire(self, who: str, by: Actor = OPERATOR) -> list[Message]:
        return self.send(RetireMediator(order_id="mediators", actor=by, mediator_id=who))

    def seat(
        self, order: str, who: str | None = None, wanted: bool = False, but: tuple[str, ...] = ()
    ) -> list[Message]:
        return self.hear(
            Seat(order_id=order, actor=ROSTER, dispute_id="d1", round=1, mediator_id=who, wanted=wanted, except_=but)
        )

    def want(self, order: str, *but: str) -> list[Message]:
        return self.seat(order, wanted=True, but=but)


def given_to(said: list[Message]) -> list[tuple[str, str]]:
    return [(message.order_id, message.mediator_id) for message in said if isinstance(message, AssignMediator)]


SAY: dict[str, Callable[[Any], list[Message]]] = {
    "register_m1": lambda office: office.register("m1"),
    "register_m2": lambda office: office.register("m2"),
    "retire_m1": lambda office: office.retire("m1"),
    "want_o1": lambda office: office.want("o1"),
    "want_o1_not_m1": lambda office: office.want("o1", "m1"),
    "want_o2": lambda office: office.want("o2"),
    "want_o2_not_m1": lambda office: office.want("o2", "m1"),
    "free_o1": lambda office: office.seat("o1"),
}

STATES: dict[str, list[str]] = {
    "empty": [],
    "m1_free": ["register_m1"],
    "m1_full": ["register_m1", "want_o1"],
    "o1_waits": ["want_o1"],
    "o1_waits_not_m1": ["want_o1_not_m1"],
    "m1_full_o2_waits": ["register_m1", "want_o1", "want_o2"],
    "m1_retired": ["register_m1", "retire_m1"],
    "m1_retired_full": ["register_m1", "want_o1", "retire_m1"],
}

# Capacity is 1. What is noted and given is private; `assign` is the answer that goes to the case.
ROSTER_TABLE = """
                 register_m1                register_m2                retire_m1        want_o2 want_o2_not_m1 free_o1
empty            mediator_registered        mediator_registered        not_found        -       -              -
m1_free          mediator_registered        mediator_registered        mediator_retired assign  -              -
m1_full          mediator_registered        mediator_registered        mediator_retired -       -              -
o1_waits         mediator_registered+assign mediator_registered+assign not_found        -       -              -
o1_waits_not_m1  mediator_registered        mediator_registered+assign not_found        -       -              -
m1_full_o2_waits mediator_registered        mediator_registered+assign mediator_retired -       -              assign
m1_retired       mediator_registered        mediator_registered        wrong_state      -       -              -
m1_retired_full  mediator_registered        mediator_registered        wrong_state      -       -              -
"""


@pytest.mark.parametrize(("state", "column", "expected"), [*cells(ROSTER_TABLE)])
@pytest.mark.rule("R48")
def test_who_gets_which_seat(state: str, column: str, expected: str) -> None:
    office = Office()
    for word in STATES[state]:
        SAY[word](office)

    assert outcome(SAY[column](office)) == expected
    assert office.refolded() == office.state


@pytest.mark.rule("R48")
def test_the_least_loaded_gets_it_and_of_equals_the_first_by_id() -> None:
    office = Office()
    office.register("m2", capacity=2)
    office.register("m1", capacity=2)

    assert [given_to(office.want(f"o{number}")) for number in range(5)] == [
        [("o0", "m1")],
        [("o1", "m2")],
        [("o2", "m1")],
        [("o3", "m2")],
        [],
    ]


@pytest.mark.rule("R48")
def test_the_longest_waiting_is_served_first_but_does_not_hold_up_others_whom_it_cannot_be_served_by() -> None:
    office = Office()
    office.want("o1", "m1")
    office.want("o2")
    office.want("o3")

    assert given_to(office.register("m1", capacity=1)) == [("o2", "m1")]
    assert given_to(office.register("m2", capacity=2)) == [("o1", "m2"), ("o3", "m2")]


@pytest.mark.rule("R48")
def test_a_case_that_was_assigned_by_hand_loads_the_mediator_and_gives_back_who_was_given() -> None:
    office = Office()
    office.register("m1")
    office.want("o1")

    office.seat("o1", "m2")

    assert given_to(office.want("o2")) == [("o2", "m1")]
    assert given_to(office.register("m2", capacity=1)) == []
    office.want("o3")
    assert given_to(office.seat("o1")) == [("o3", "m2")]


@pytest.mark.rule("R48")
def test_more_capacity_by_registering_again_serves_who_waits() -> None:
    office = Office()
    office.register("m1", capacity=1)
    office.want("o1")
    office.want("o2")
    office.want("o3")

    assert given_to(office.register("m1", capacity=2)) == [("o2", "m1")]


@pytest.mark.rule("R48")
def test_the_retired_keep_their_cases_and_get_no_new_ones_until_they_return() -> None:
    office = Office()
    office.register("m1", capacity=2)
    office.want("o1")

    retired = office.retire("m1")

    assert isinstance(retired[0], MediatorRetired)
    assert given_to(office.want("o2")) == []
    assert given_to(office.register("m1", capacity=2)) == [("o2", "m1")]
    assert given_to(office.want("o3")) == []
    assert outcome(office.retire("m1")) == "mediator_retired"


@pytest.mark.rule("R48")
def test_who_registers_is_announced_and_his_address_goes_with_his_cases() -> None:
    office = Office()

    registered = office.register("m1", email="mia@example.org", locale="zh-CN")[0]
    assign = office.want("o1")[-1]

    assert isinstance(registered, MediatorRegistered)
    assert (registered.order_id, registered.dispute_id, registered.status) == ("mediators", None, None)
    assert isinstance(assign, AssignMediator)
    assert (assign.key, assign.actor, assign.email, assign.locale) == ("o1", ROSTER, "mia@example.org", "zh-CN")


def test_a_seat_is_spelt_except_on_the_wire() -> None:
    seat = Seat(order_id="o1", actor=ROSTER, dispute_id="d1", round=2, wanted=True, except_=("m1",))

    written = seat.model_dump_json()

    assert written == (
        '{"order_id":"o1","actor":{"role":"platform","id":"mediation"},"dispute_id":"d1","round":2,'
        '"mediator_id":null,"wanted":true,"except":["m1"]}'
    )
    assert Seat.model_validate_json(written) == seat


@pytest.mark.rule("R48")
def test_only_operators_register() -> None:
    office = Office()
    office.register("m1")

    assert outcome(office.register("m2", by=BUYER)) == "not_allowed"
    assert outcome(office.register("m2", by=mediator("m2"))) == "not_allowed"
    assert outcome(office.retire("m1", by=mediator("m1"))) == "not_allowed"


@pytest.mark.rule("R39")
def test_there_is_no_dispute_under_the_rosters_key() -> None:
    office = Office()
    asked = AskQuestion(
        order_id="mediators", actor=mediator("m1"), dispute_id="d1", question_id="q1", to="both", question="?"
    )
    assert outcome(office.send(asked)) == "not_found"

    named_so = Room()
    named_so.stream.id = "mediators"
    assert named_so.escalate() == []
    assert office.state is None


def test_mediators_are_registered_under_their_own_key_only() -> None:
    with pytest.raises(ValueError, match="mediators"):
        RegisterMediator(order_id="order-1", actor=OPERATOR, mediator_id="m1")  # type: ignore[arg-type]


class Bus:
    """Cases and the roster, each hearing the other late; what one says to the other arrives in order."""

    def __init__(self, orders: int) -> None:
        self.office = Office()
        self.rooms = {f"o{number}": Room() for number in range(orders)}
        for name, room in self.rooms.items():
            room.stream.id = name
        self.to_office: list[Seat] = []
        self.to_rooms: list[AssignMediator] = []

    def post(self, said: list[Message]) -> None:
        self.to_office += [message for message in said if isinstance(message, Seat)]
        self.to_rooms += [message for message in said if isinstance(message, AssignMediator)]

    def carry(self, to_office: bool) -> None:
        if to_office and self.to_office:
            self.post(self.office.hear(self.to_office.pop(0)))
        elif not to_office and self.to_rooms:
            assign = self.to_rooms.pop(0)
            self.post(self.rooms[assign.order_id].hear(assign))

    def act(self, act: str, order: str, who: str) -> None:
        room = self.rooms[order]
        match act:
            case "escalate":
                self.post(room.escalate())
            case "appeal":
                self.post(room.appeal())
            case "decide":
                self.post(room.decide(by=who))
            case "cancel":
                self.post(room.cancel())
            case "hand":
                self.post(room.assign(who))
            case "late" if room.due():
                self.post(room.ring_after(room.due().name))
            case "register":
                self.post(self.office.register(who, capacity=2))
            case "retire":
                self.post(self.office.retire(who))

    def settle(self) -> None:
        while self.to_office or self.to_rooms:
            self.carry(to_office=bool(self.to_office))


ACTS = ["escalate", "appeal", "decide", "cancel", "hand", "late", "register", "retire", "to_office", "to_rooms"]


@given(
    st.lists(
        st.tuples(st.sampled_from(ACTS), st.sampled_from(["o0", "o1", "o2"]), st.sampled_from(["m1", "m2", "m3"])),
        max_size=60,
    )
)
@pytest.mark.rule("R48")
def test_however_late_they_hear_of_each_other_cases_and_roster_come_to_agree(story: list[tuple[str, str, str]]) -> None:
    bus = Bus(orders=3)
    bus.act("register", "o0", "m1")
    for act, order, who in story:
        if act in ("to_office", "to_rooms"):
            bus.carry(act == "to_office")
        else:
            bus.act(act, order, who)
    bus.settle()

    cases = {name: room.case for name, room in bus.rooms.items() if room.state}
    in_round = {name: case for name, case in cases.items() if isinstance(case, InRound)}
    roster = bus.office.state
    assert {order: who for (order, _), who in roster.taken.items()} == {
        name: case.mediator_id for name, case in in_round.items() if case.mediator_id
    }
    waiting = {name: case for name, case in in_round.items() if case.mediator_id is None}
    assert {order for order, _ in roster.waiting} == waiting.keys()
    loads = list(roster.taken.values())
    for case in waiting.values():
        had_it = {who for _, who in case.file.sat}
        for who, registered in roster.active.items():
            assert who in had_it or loads.count(who) >= registered.capacity, "somebody has room, and yet it waits"
    for case in in_round.values():
        assert not (case.appeal and case.mediator_id in case.file.sat_before)
    assert bus.office.refolded() == roster
