"""Rounds of mediation: every state against everything that can be said in it, and who sits in the seat."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common import Offer, Party, Terms
from schemas.mediation.commands import Seat
from schemas.mediation.events import (
    MediationAssigned,
    MediationDefaulted,
    MediationOpened,
    MediationOverdue,
    MediationRejected,
)
from schemas.mediation.shapes import Mediator
from schemas.wire import Actor, Message
from services.mediation.case import OWN_CASE, InRound
from services.mediation.domain import DECIDER
from services.mediation.states import Cases
from shared.rules.calendar import after
from tests.domain.mediation_room import BUYER, CLAIMED_MINOR, OPERATOR, SELLER, Room, room_at, under
from tests.domain.table import NOON, POLICIES, cells, newest, outcome

SAY: dict[str, Callable[[Room], list[Message]]] = {
    "escalate": lambda room: room.escalate(),
    "appeal": lambda room: room.appeal(),
    "hand_m1": lambda room: room.assign("m1"),
    "hand_m2": lambda room: room.assign("m2"),
    "roster_m2": lambda room: room.given("m2"),
    "ask_q2": lambda room: room.ask("both", "q2"),
    "answer_b": lambda room: room.answer(BUYER),
    "answer_s": lambda room: room.answer(SELLER),
    "offer": lambda room: room.offer(),
    "accept_1": lambda room: room.accept(1, SELLER),
    "accept_2": lambda room: room.accept(2, BUYER),
    "accept_3": lambda room: room.accept(3, BUYER),
    "decline_3": lambda room: room.decline(3),
    "decide": lambda room: room.decide(),
    "cancel": lambda room: room.cancel(),
}

# The mediator who speaks is m1, asked was q1. Offer 1 is the buyer's claim, 2 the seller's counter-offer from before,
# 3 his solution in mediation. A case in its second round keeps what was asked and offered in the first.
ROUNDS = """
                                   escalate     appeal       hand_m2        roster_m2
nothing                            opened+seat  -            not_found      -
seeking                            -            -            assigned+seat  assigned
assigned                           -            -            assigned+seat  seat
assigned>asked_both                -            -            assigned+seat  seat
assigned>overdue                   -            -            assigned+seat  assigned
assigned>decided                   opened+seat  opened+seat  wrong_state    -
assigned>asked_buyer>silence       opened+seat  opened+seat  wrong_state    -
run_out                            opened+seat  opened+seat  wrong_state    -
accepted                           opened+seat  -            wrong_state    -
cancelled                          opened+seat  -            wrong_state    -
assigned>decided>appealed          -            -            assigned+seat  assigned
assigned>decided>appealed>run_out  opened+seat  opened+seat  wrong_state    -
"""

TALK = """
                                     ask_q2          answer_b     answer_s     decide        cancel
nothing                              not_found       not_found    not_found    not_found     not_found
seeking                              not_allowed     not_found    not_found    not_allowed   cancelled+seat
assigned                             question_asked  not_found    not_found    decided+seat  cancelled+seat
assigned>asked_buyer                 question_asked  answered     not_allowed  decided+seat  cancelled+seat
assigned>asked_seller                question_asked  not_allowed  answered     decided+seat  cancelled+seat
assigned>asked_both                  question_asked  answered     answered     decided+seat  cancelled+seat
assigned>asked_both>buyer_answered   question_asked  wrong_state  answered     decided+seat  cancelled+seat
assigned>asked_both>seller_answered  question_asked  answered     wrong_state  decided+seat  cancelled+seat
assigned>asked_seller>silence        question_asked  not_allowed  too_late     decided+seat  cancelled+seat
assigned>overdue                     not_allowed     not_found    not_found    not_allowed   cancelled+seat
assigned>asked_both>decided          wrong_state     wrong_state  wrong_state  wrong_state   wrong_state
assigned>asked_buyer>silence         wrong_state     too_late     not_allowed  wrong_state   wrong_state
assigned>asked_both>run_out          wrong_state     too_late     too_late     wrong_state   wrong_state
assigned>asked_both>accepted         wrong_state     wrong_state  wrong_state  wrong_state   wrong_state
assigned>asked_both>cancelled        wrong_state     wrong_state  wrong_state  wrong_state   wrong_state
run_out                              not_allowed     not_found    not_found    not_allowed   wrong_state
assigned>asked_both>decided>appealed not_allowed     wrong_state  wrong_state  not_allowed   cancelled+seat
"""

OFFERS = """
                          offer       accept_1            accept_2            accept_3            decline_3
nothing                   not_found   not_found           not_found           not_found           not_found
seeking                   offer_made  offer_accepted+seat offer_accepted+seat not_found           not_found
assigned                  offer_made  offer_accepted+seat offer_accepted+seat not_found           not_found
assigned>asked_both       offer_made  offer_accepted+seat offer_accepted+seat not_found           not_found
solution                  offer_made  offer_accepted+seat offer_superseded    offer_accepted+seat offer_declined
solution>no_thanks        offer_made  offer_accepted+seat offer_superseded    offer_superseded    offer_superseded
solution>solution         offer_made  offer_accepted+seat offer_superseded    offer_superseded    offer_superseded
assigned>solution>decided wrong_state wrong_state         wrong_state         wrong_state         wrong_state
solution>run_out          wrong_state wrong_state         wrong_state         wrong_state         wrong_state
solution>accepted_3       wrong_state wrong_state         wrong_state         wrong_state         wrong_state
solution>cancelled        wrong_state wrong_state         wrong_state         wrong_state         wrong_state
solution>run_out>appealed offer_made  offer_accepted+seat offer_superseded    offer_superseded    offer_superseded
"""


@pytest.mark.parametrize(
    ("path", "column", "expected"), [cell for table in (ROUNDS, TALK, OFFERS) for cell in cells(table)]
)
@pytest.mark.rule("R36")
def test_what_can_be_said_in_which_state(path: str, column: str, expected: str) -> None:
    assert outcome(SAY[column](room_at(path))) == expected


STATUSES = """
                                    status
seeking                             processing
assigned                            processing
assigned>asked_buyer                waiting_buyer
assigned>asked_seller               waiting_seller
assigned>asked_both                 waiting_both
assigned>asked_both>buyer_answered  waiting_seller
assigned>asked_both>seller_answered waiting_buyer
assigned>asked_buyer>buyer_answered processing
assigned>asked_seller>silence       processing
assigned>asked_buyer>silence        decided
assigned>decided                    decided
run_out                             decided
accepted                            closed
cancelled                           closed
assigned>decided>appealed           processing
"""


@pytest.mark.parametrize(("path", "column", "expected"), [*cells(STATUSES)])
@pytest.mark.rule("R38")
def test_every_event_says_where_the_case_stands(path: str, column: str, expected: str) -> None:
    room = room_at(path)

    events = [message for message in room.history if hasattr(message, column)]

    assert getattr(events[-1], column) == expected


# What a bell after each deadline brings about, and which deadlines are running at all.
BELLS = """
                                     answer                               mediator_due  mediation_max
seeking                              absent                               overdue       defaulted+seat
assigned                             absent                               overdue+seat  defaulted+seat
assigned>overdue                     absent                               overdue       defaulted+seat
assigned>asked_buyer                 answer_missed+defaulted+seat         absent        defaulted+seat
assigned>asked_seller                answer_missed                        absent        defaulted+seat
assigned>asked_both                  answer_missed+answer_missed+defaulted+seat  absent defaulted+seat
assigned>asked_both>buyer_answered   answer_missed                        absent        defaulted+seat
assigned>asked_both>seller_answered  answer_missed+defaulted+seat         absent        defaulted+seat
assigned>asked_buyer>buyer_answered  absent                               overdue+seat  defaulted+seat
assigned>asked_seller>silence        absent                               overdue+seat  defaulted+seat
assigned>decided                     absent                               absent        absent
accepted                             absent                               absent        absent
cancelled                            absent                               absent        absent
run_out                              absent                               absent        absent
assigned>decided>appealed            absent                               overdue       defaulted+seat
"""


@pytest.mark.parametrize(("path", "name", "expected"), [*cells(BELLS)])
@pytest.mark.rule("R48")
def test_what_a_deadline_brings(path: str, name: str, expected: str) -> None:
    room = room_at(path)
    held = [deadline for deadline in DECIDER.deadlines(room.state) if deadline.name == name]

    if expected == "absent":
        assert not held
    else:
        said = DECIDER.expire(room.state, held[0], held[0].due_at, POLICIES)
        assert outcome([message for message in said if isinstance(message, Message)]) == expected


def one(said: list[Message], model: Any) -> Any:
    (found,) = [message for message in said if isinstance(message, model)]
    return found


@pytest.mark.rule("R36")
def test_an_escalation_opens_the_first_round_with_an_empty_seat_and_two_clocks() -> None:
    room = Room()

    opened, seat, alarm = room.escalate()

    assert isinstance(opened, MediationOpened)
    assert (opened.round, opened.mediator, opened.appealed_by, opened.cause) == (1, None, None, "no_agreement")
    assert (opened.claimed_minor, [offer.offer_id for offer in opened.offers]) == (CLAIMED_MINOR, [1, 2])
    assert opened.mediator_due_by == datetime(2026, 3, 16, 12, tzinfo=UTC)  # ten business days in China
    assert opened.round_ends_by == after(NOON, newest()[1].mediation_max, newest()[1])
    assert isinstance(seat, Seat)
    assert (seat.order_id, seat.key, seat.round, seat.mediator_id, seat.wanted, seat.except_) == (
        "order-1",
        "mediators",
        1,
        None,
        True,
        ("bea", "sam"),
    )
    assert alarm.model_dump()["due_at"] == opened.mediator_due_by


@pytest.mark.rule("R36")
def test_two_disputes_of_one_order_are_two_cases() -> None:
    room = room_at("assigned")

    room.escalate(dispute_id="d2")
    room.decide()

    assert isinstance(room.state.of["d2"], InRound)
    assert room.case.ruling.refund_minor == 4_000


@pytest.mark.rule("R74")
def test_of_the_parties_a_round_tells_who_they_are_and_no_more() -> None:
    """Whatever an earlier version handed over; a second round, too."""
    first = one(Room().escalate(), MediationOpened)
    again = one(room_at("assigned>decided").appeal(), MediationOpened)

    for opened in (first, again):
        assert (opened.buyer, opened.seller) == (Party(id="bea"), Party(id="sam"))


@pytest.mark.rule("R74")
def test_what_an_earlier_version_said_of_the_parties_is_not_on_file() -> None:
    room = Room()
    opened = one(room.escalate(), MediationOpened)
    told = opened.model_copy(update={"buyer": Party(id="bea", email="bea@example.org")})

    cases = DECIDER.evolve(None, told)

    assert isinstance(cases, Cases)
    assert cases.of["d1"].file.buyer == Party(id="bea")


@pytest.mark.rule("R48")
def test_whom_the_roster_gave_it_is_told_of_only_if_it_was_somebody_else() -> None:
    room = room_at("seeking")

    said = room.given("m1", email="mia@example.org", locale="en")

    assert outcome(said) == "assigned"
    assert one(said, MediationAssigned).mediator == Mediator(id="m1", email="mia@example.org", locale="en")
    assert outcome(room.given("m1")) == "-"
    seat = one(room.given("m2"), Seat)
    assert (seat.mediator_id, seat.wanted, seat.except_) == ("m1", False, ()), "a roster that was put back learns it"


@pytest.mark.rule("R48")
def test_an_assignment_by_hand_tells_the_roster_who_sits() -> None:
    seat = one(room_at("seeking").assign("m2", by=OPERATOR), Seat)
    assert (seat.mediator_id, seat.wanted, seat.except_) == ("m2", False, ())


@pytest.mark.rule("R48")
def test_a_mediator_who_does_not_act_loses_the_case_and_does_not_get_it_back_from_the_roster() -> None:
    room = room_at("assigned")

    said = room.ring_after("mediator_due")

    overdue, seat = one(said, MediationOverdue), one(said, Seat)
    assert overdue.mediator_id == "m1"
    assert overdue.mediator_due_by == after(room.now, newest()[1].mediator_due, newest()[1])
    assert (seat.mediator_id, seat.wanted, seat.except_) == (None, True, ("bea", "sam", "m1"))
    assert outcome(room.given("m1")) == "-"
    assert outcome(room.assign("m1", by=OPERATOR)) == "assigned+seat"


@pytest.mark.rule("R48")
def test_a_round_for_which_nobody_is_found_is_announced_as_overdue_again_and_again() -> None:
    room = room_at("seeking")

    for _ in range(3):
        room.until("mediator_due")
        assert one(room.ring(), MediationOverdue).mediator_id is None


@pytest.mark.rule("R48")
def test_the_mediators_clock_begins_anew_when_he_is_assigned_and_when_the_parties_have_answered() -> None:
    policy = newest()[1]
    room = room_at("seeking")
    room.wait(days=3)
    assert one(room.assign(), MediationAssigned).mediator_due_by == after(room.now, policy.mediator_due, policy)
    room.ask("both")
    room.wait(days=1)

    assert room.answer(BUYER)[0].model_dump()["mediator_due_by"] is None
    room.wait(days=1)
    assert room.answer(SELLER)[0].model_dump()["mediator_due_by"] == after(room.now, policy.mediator_due, policy)


@pytest.mark.rule("R48")
def test_assigning_another_while_the_parties_are_asked_takes_no_time_from_them() -> None:
    room = room_at("assigned>asked_both")

    assigned = one(room.assign("m2"), MediationAssigned)

    assert (assigned.status, assigned.mediator_due_by) == ("waiting_both", None)
    assert outcome(room.ask("buyer", "q2", by="m1")) == "not_allowed"
    assert outcome(room.ask("buyer", "q2", by="m2")) == "question_asked"


@pytest.mark.rule("R48")
def test_on_appeal_nobody_who_ever_had_the_case_in_an_earlier_round_judges_again_not_even_by_hand() -> None:
    room = room_at("assigned>assigned_m2")
    room.decide(by="m2")

    seat = one(room.appeal(), Seat)

    assert (seat.round, seat.wanted, seat.except_) == (2, True, ("bea", "sam", "m1", "m2"))
    for former in ("m1", "m2"):
        assert outcome(room.assign(former, by=OPERATOR)) == "not_allowed"
        assert outcome(room.given(former)) == "-"
    assert outcome(room.given("m3")) == "assigned"


@pytest.mark.rule("R48")
def test_after_a_contested_return_the_former_mediator_sits_again_only_by_hand() -> None:
    room = room_at("assigned>decided")

    seat = one(room.escalate(cause="return_contested"), Seat)

    assert (seat.round, seat.except_) == (2, ("bea", "sam", "m1"))
    assert outcome(room.given("m1")) == "-"
    assert outcome(room.assign("m1", by=OPERATOR)) == "assigned+seat"


@pytest.mark.rule("R70")
@pytest.mark.parametrize("party", ["bea", "sam"])
@pytest.mark.parametrize("path", ["seeking", "assigned", "assigned>decided", "assigned>decided>appealed", "cancelled"])
def test_a_party_is_never_seated_by_hand_in_whatever_state_the_case_is(path: str, party: str) -> None:
    assert outcome(room_at(path).assign(party)) == "not_allowed"


@pytest.mark.rule("R70")
@pytest.mark.parametrize("party", ["bea", "sam"])
@pytest.mark.parametrize("path", ["seeking", "assigned>overdue", "assigned>decided>appealed"])
def test_a_party_whom_the_roster_gives_is_not_seated_and_somebody_else_is_asked_for(path: str, party: str) -> None:
    """By a wish from before parties were barred."""
    room = room_at(path)

    said = room.given(party)

    assert outcome(said) == "seat"
    seat = one(said, Seat)
    assert (seat.round, seat.mediator_id, seat.wanted) == (room.case.file.round, None, True)
    assert {"bea", "sam"} <= set(seat.except_)
    assert outcome(room.given("m3")) == "assigned"


@pytest.mark.rule("R70")
def test_acts_of_a_party_who_sits_are_refused_until_somebody_else_is_seated() -> None:
    """He was seated before that was a rule."""
    room = room_at("seeking")
    seated = MediationAssigned(
        order_id=room.stream.id,
        dispute_id="d1",
        status="processing",
        round=1,
        mediator=Mediator(id="sam"),
        mediator_due_by=after(room.now, newest()[1].mediator_due, newest()[1]),
    )
    room.stream.state = DECIDER.evolve(room.state, seated)

    for said in (room.ask("buyer", by="sam"), room.decide(0, by="sam")):
        (refused,) = said
        assert isinstance(refused, MediationRejected)
        assert (refused.code, refused.message) == (OWN_CASE.code, OWN_CASE.message)
    assert outcome(room.ring_after("mediator_due")) == "overdue+seat"
    room.given("m1")
    assert outcome(room.decide()) == "decided+seat"


@pytest.mark.rule("R48")
@pytest.mark.parametrize("by", ["buyer", "seller"])
def test_an_appeal_that_runs_out_of_time_leaves_the_decision_standing_against_who_appealed(by: Any) -> None:
    room = room_at("assigned")
    room.decide(refund_minor=4_000, return_required=True)
    room.appeal(by=by)

    defaulted = one(room.ring_after("mediation_max"), MediationDefaulted)

    assert (defaulted.round, defaulted.cause, defaulted.effect) == (2, "mediation_max", "decided")
    assert (defaulted.against, defaulted.refund_minor, defaulted.return_required) == (by, 4_000, True)


@pytest.mark.rule("R48")
@pytest.mark.parametrize("to", ["buyer", "seller", "both"])
def test_a_round_that_runs_out_of_time_ends_though_a_question_waits(to: str) -> None:
    room = room_at("assigned")
    ends_at = room.case.round_ends_by
    room.now = ends_at - timedelta(hours=1)
    room.assign("m2")
    assert outcome(room.ask(to, by="m2")) == "question_asked"

    room.now = ends_at + timedelta(milliseconds=1)
    assert one(room.ring(), MediationDefaulted).cause == "mediation_max"


@pytest.mark.rule("R48")
@pytest.mark.parametrize(
    ("fallback", "kind", "against", "refund_minor", "return_required"),
    [
        ("buyer_terms", "refund", "seller", 8_000, False),
        ("buyer_terms", "return_and_refund", "seller", 8_000, True),
        ("buyer_terms", "replacement", "seller", 8_000, False),
        ("seller_wins", "return_and_refund", "buyer", 0, False),
    ],
)
def test_a_first_round_that_runs_out_of_time_falls_back_as_the_policy_says(
    fallback: str, kind: Any, against: str, refund_minor: int, return_required: bool
) -> None:
    claim = Offer(offer_id=1, by="buyer", terms=Terms(kind=kind, refund_minor=8_000))
    room = room_at("assigned", policy=under(mediation_fallback=fallback), claim=claim)

    defaulted = one(room.ring_after("mediation_max"), MediationDefaulted)

    assert (defaulted.against, defaulted.cause, defaulted.effect) == (against, "mediation_max", "decided")
    assert (defaulted.refund_minor, defaulted.return_required) == (refund_minor, return_required)


@pytest.mark.rule("R51")
def test_after_a_contested_return_nothing_asks_for_another_return() -> None:
    claim = Offer(offer_id=1, by="buyer", terms=Terms(kind="return_and_refund", refund_minor=8_000))
    room = room_at("assigned", claim=claim)
    room.decide(return_required=True)
    room.escalate(cause="return_contested")
    room.assign("m2")

    assert outcome(room.decide(by="m2", return_required=True)) == "wrong_state"
    assert outcome(room.decide(by="m2", return_required=False)) == "decided+seat"
    room.appeal()
    room.assign("m3")
    assert outcome(room.decide(by="m3", return_required=True)) == "wrong_state"


@pytest.mark.rule("R51")
def test_after_a_contested_return_the_buyers_terms_are_granted_without_a_return() -> None:
    claim = Offer(offer_id=1, by="buyer", terms=Terms(kind="return_and_refund", refund_minor=8_000))
    room = Room(claim=claim)
    room.escalate(cause="return_contested")

    defaulted = one(room.ring_after("mediation_max"), MediationDefaulted)

    assert (defaulted.refund_minor, defaulted.return_required) == (8_000, False)


@pytest.mark.rule("R36")
def test_an_escalation_or_appeal_that_makes_no_sense_changes_nothing() -> None:
    room = Room()
    assert room.appeal() == []
    room.escalate()
    before = room.state

    assert room.escalate() == []
    assert room.appeal() == []
    assert room.state == before


@pytest.mark.rule("R45")
def test_without_a_claim_among_the_offers_the_buyer_is_judged_by_all_he_could_ask() -> None:
    room = Room()
    room.escalate(offers=())

    assert one(room.ring_after("mediation_max"), MediationDefaulted).refund_minor == CLAIMED_MINOR


@pytest.mark.rule("R37")
@pytest.mark.parametrize("path", ["assigned>asked_both>solution", "assigned>asked_both>decided"])
def test_only_the_orders_own_buyer_and_seller_and_the_mediator_of_the_round_are_heard(path: str) -> None:
    room = room_at(path)
    buyer, seller = Actor(role="buyer", id="mallory"), Actor(role="seller", id="mallory")

    attempts: list[Callable[[], list[Message]]] = [
        lambda: room.answer(buyer),
        lambda: room.answer(seller),
        lambda: room.answer(OPERATOR),
        lambda: room.offer(by=seller),
        lambda: room.offer(by=BUYER),
        lambda: room.accept(1, seller),
        lambda: room.accept(2, buyer),
        lambda: room.decline(2, by=buyer),
        lambda: room.decline(2, by=SELLER),
        lambda: room.cancel(by=buyer),
        lambda: room.cancel(by=SELLER),
        lambda: room.decide(by="mallory"),
        lambda: room.ask("both", "q2", by="mallory"),
        lambda: room.assign("m2", by=BUYER),
    ]
    for say in attempts:
        assert outcome(say()) == "not_allowed"


@pytest.mark.rule("R39")
def test_a_question_id_is_new_in_its_order_so_that_no_two_deadlines_are_one() -> None:
    room = room_at("assigned>asked_buyer")
    room.escalate(dispute_id="d2")

    assert outcome(room.ask("buyer", "q1", dispute_id="d2")) == "already_exists"
    assert outcome(room.ask("buyer", "q1", dispute_id="d1")) == "already_exists"


@given(
    st.lists(st.tuples(st.sampled_from(sorted(SAY)), st.sampled_from(["m1", "m2"]), st.integers(0, 400)), max_size=40)
)
@pytest.mark.rule("R0")
def test_whatever_is_said_in_whatever_order_a_case_stays_whole(story: list[tuple[str, str, int]]) -> None:
    room = Room(policy=under(mediation_seller_silence="buyer_wins"))
    for word, who, hours in story:
        room.wait(hours=hours)
        room.ring()
        said = SAY[word](room)
        if word == "ask_q2" and outcome(said) == "not_allowed":
            room.ask("both", f"q{len(room.history)}", by=who)
        assert room.refolded() == room.state
        for message in said:
            if isinstance(message, MediationDefaulted):
                assert 0 <= message.refund_minor <= CLAIMED_MINOR
        if room.state and isinstance(room.case, InRound):
            assert any(deadline.name == "mediation_max" for deadline in DECIDER.deadlines(room.state))
        assert room.due() is None or room.due().due_at >= room.now


@pytest.mark.rule("R48")
def test_whom_the_roster_gives_after_the_end_of_the_round_does_not_sit_and_the_round_is_not_ended_by_him() -> None:
    room = room_at("seeking")
    room.until("mediation_max")

    assert room.given("m1") == []
    assert isinstance(room.case, InRound)
    assert outcome(room.ring()) != "-"
