"""The parties settle, the mediator decides, the buyer gives up (R42, R44–R46)."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.dispute.shapes import FiledEvidence
from schemas.mediation.commands import Seat
from schemas.mediation.events import (
    MediationCancelled,
    MediationDecided,
    MediationOfferAccepted,
    MediationOfferDeclined,
    MediationOfferMade,
    MediationOpened,
)
from schemas.wire import Message, Rejected
from tests.domain.mediation_room import BUYER, CLAIM, CLAIMED_MINOR, COUNTER, FILED, SELLER, Room, room_at, under
from tests.domain.table import outcome


def refusal(said: list[Message]) -> tuple[str, Any]:
    (refused,) = [message for message in said if isinstance(message, Rejected)]
    return refused.code, refused.details


@pytest.mark.rule("R42")
def test_the_sellers_solution_takes_the_next_number_of_the_dispute_and_replaces_his_open_offer() -> None:
    room = room_at("assigned")

    made = room.offer(5_000)[0]

    assert isinstance(made, MediationOfferMade)
    assert (made.offer_id, made.by, made.terms.refund_minor) == (3, "seller", 5_000)
    solution = {"offer_id": 3, "by": "seller", "terms": {"kind": "refund", "refund_minor": 5_000}}
    assert refusal(room.accept(COUNTER.offer_id)) == ("offer_superseded", {"offer": solution})


@pytest.mark.rule("R45")
def test_each_party_settles_on_exactly_the_others_open_terms_and_the_seat_is_free() -> None:
    by_buyer = room_at("assigned>solution").accept(3, BUYER, expect="settled_on_offer")
    by_seller = room_at("assigned>solution").accept(1, SELLER)

    for said, by, refund_minor in ((by_buyer, "buyer", 5_000), (by_seller, "seller", 8_000)):
        accepted, seat = said
        assert isinstance(accepted, MediationOfferAccepted)
        assert (accepted.by, accepted.terms.refund_minor, accepted.status) == (by, refund_minor, "closed")
        assert isinstance(seat, Seat)
        assert (seat.mediator_id, seat.wanted) == (None, False)


@pytest.mark.rule("R21")
def test_nobody_accepts_his_own_offer_and_an_offer_never_made_is_not_found() -> None:
    room = room_at("assigned>solution")

    assert refusal(room.accept(1, BUYER))[0] == "not_allowed"
    assert refusal(room.accept(3, SELLER))[0] == "not_allowed"
    assert refusal(room.accept(2, SELLER)) == ("offer_superseded", {"offer": CLAIM.model_dump(mode="json")})
    assert refusal(room.accept(0, BUYER))[0] == "not_found"
    assert refusal(room.accept(4, BUYER))[0] == "not_found"


@pytest.mark.rule("R82")
def test_a_round_ends_with_the_number_that_offers_go_on_from() -> None:
    for said in (
        room_at("assigned>solution").decide(),
        room_at("assigned>solution").accept(3),
        room_at("assigned>solution").ring_after("mediation_max"),
    ):
        assert {getattr(message, "last_offer_id", None) for message in said} - {None} == {3}


@pytest.mark.rule("R29")
def test_accepting_with_another_expectation_moves_nothing() -> None:
    room = room_at("assigned")

    assert refusal(room.accept(2, expect="reopenable")) == ("consequence_changed", {"actual": "settled_on_offer"})
    assert outcome(room.accept(2)) == "offer_accepted+seat"


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
def test_no_thanks_is_not_for_the_sellers_eyes_and_the_offer_cannot_be_accepted_any_more() -> None:
    room = room_at("assigned>solution")
    before = room.case

    declined = room.decline(3)[0]

    assert isinstance(declined, MediationOfferDeclined)
    assert declined.visible_to == ("buyer", "mediator", "operator")
    assert declined.status == "processing"
    assert room.case.mediator_due_by == before.mediator_due_by
    assert refusal(room.accept(3)) == ("offer_superseded", {"offer": None})
    made = room.offer(6_000)[0]
    assert isinstance(made, MediationOfferMade)
    assert made.offer_id == 4


@pytest.mark.rule("R42")
def test_after_no_thanks_the_sellers_next_offer_can_be_accepted() -> None:
    room = room_at("assigned>solution>no_thanks")
    room.offer(6_000)
    assert outcome(room.accept(4)) == "offer_accepted+seat"


@pytest.mark.rule("C9")
@pytest.mark.rule("R21")
def test_the_seller_does_not_find_out_by_trying_to_accept_his_own_solution() -> None:
    unanswered, declined = (refusal(room_at(path).accept(3, SELLER)) for path in ("solution", "solution>no_thanks"))

    assert unanswered == declined == ("not_allowed", None)


@pytest.mark.rule("R42")
def test_a_solution_is_within_the_claim_and_a_replacement_only_where_the_policy_knows_it() -> None:
    room = room_at("assigned")

    assert refusal(room.offer(CLAIMED_MINOR + 1)) == ("amount_exceeds", {"max_minor": CLAIMED_MINOR})
    assert refusal(room.offer(1, kind="replacement"))[0] == "not_allowed"
    assert outcome(room.offer(0, kind="none")) == "offer_made"
    assert outcome(room_at("seeking", policy=under(replacement=True)).offer(1, kind="replacement")) == "offer_made"


@pytest.mark.rule("R45")
def test_a_decision_closes_all_offers_but_the_claim_and_numbers_go_on() -> None:
    room = room_at("assigned>solution>decided")

    opened = room.appeal()[0]

    assert isinstance(opened, MediationOpened)
    assert (opened.offers, opened.last_offer_id) == ((CLAIM,), 3)
    assert refusal(room.accept(3)) == ("offer_superseded", {"offer": None})
    made = room.offer(6_000)[0]
    assert isinstance(made, MediationOfferMade)
    assert made.offer_id == 4


@pytest.mark.rule("R45")
def test_numbers_go_on_also_where_the_dispute_has_not_heard_of_offers_made_in_mediation() -> None:
    room = room_at("assigned>solution>decided")

    opened = room.escalate(cause="return_contested")[0]

    assert isinstance(opened, MediationOpened)
    assert opened.last_offer_id == 3


@pytest.mark.rule("R46")
@pytest.mark.parametrize("refund_minor", [0, 1, CLAIMED_MINOR])
def test_a_decision_names_the_refund_its_reasons_and_what_it_rests_on(refund_minor: int) -> None:
    room = room_at("assigned>asked_both")
    goes_back = refund_minor > 0

    decided, seat = room.decide(refund_minor, return_required=goes_back)

    assert isinstance(decided, MediationDecided)
    assert (decided.round, decided.mediator_id, decided.status) == (1, "m1", "decided")
    assert (decided.refund_minor, decided.return_required) == (refund_minor, goes_back)
    assert (decided.rationale, decided.rules, decided.evidence_ids) == ("half of it was broken", ("R46",), ("p1",))
    assert isinstance(seat, Seat)
    assert (seat.mediator_id, seat.wanted) == (None, False)
    assert room.due() is None


@pytest.mark.rule("R46")
def test_a_decision_never_gives_more_than_was_disputed() -> None:
    room = room_at("assigned")

    assert refusal(room.decide(CLAIMED_MINOR + 1)) == ("amount_exceeds", {"max_minor": CLAIMED_MINOR})


@pytest.mark.rule("R73")
@pytest.mark.parametrize("path", ["seeking", "assigned", "assigned>decided", "assigned>decided>appealed", "cancelled"])
def test_what_never_came_is_not_sent_back_by_whomever(path: str) -> None:
    room = room_at(path, received=False)
    for said in (room.offer(1, "return_and_refund"), room.decide(1, return_required=True)):
        assert refusal(said)[0] == "invalid"


@pytest.mark.rule("R73")
def test_of_what_never_came_the_money_is_decided_and_agreed_as_ever() -> None:
    assert outcome(room_at("assigned", received=False).decide(1)) == "decided+seat"
    assert outcome(room_at("assigned", received=False).offer(1)) == "offer_made"
    (opened, *_) = Room(received=False).escalate()
    assert isinstance(opened, MediationOpened)
    assert opened.received is False
    appealed = room_at("assigned>decided", received=False).appeal()[0]
    assert appealed.received is False  # type: ignore[attr-defined]


@pytest.mark.rule("R73")
def test_an_older_dispute_service_does_not_say_whether_anything_came() -> None:
    room = room_at("assigned", received=None)
    assert outcome(room.offer(1, "return_and_refund")) == "offer_made"
    assert outcome(room.decide(1, return_required=True)) == "decided+seat"


@pytest.mark.rule("R46")
@pytest.mark.rule("R73")
def test_nothing_is_sent_back_for_nothing() -> None:
    with pytest.raises(ValidationError, match="nothing is sent back"):
        room_at("assigned").decide(0, return_required=True)


@pytest.mark.rule("R46")
@pytest.mark.rule("R58")
def test_a_decision_rests_on_what_was_filed_wherever_that_was() -> None:
    room = room_at("assigned>asked_both")
    room.answer(SELLER, shows=("a1",))

    assert refusal(room.decide(evidence_ids=("p1", "u1")))[0] == "not_found"
    assert refusal(room.decide(evidence_ids=("u1",), by="mallory"))[0] == "not_found"
    room.show_unasked("u1")
    assert outcome(room.decide(evidence_ids=("p1", "s1", "a1", "u1"))) == "decided+seat"


@pytest.mark.rule("R46")
@pytest.mark.rule("C4")
def test_a_verdict_on_appeal_rests_on_the_new_evidence_too() -> None:
    room = room_at("assigned>decided")
    room.appeal(by="buyer", filed=(*FILED, FiledEvidence(evidence_id="anew", by="buyer")))
    room.assign("m2")

    assert outcome(room.decide(by="m2", evidence_ids=("s1", "anew"))) == "decided+seat"


@pytest.mark.rule("R48")
@pytest.mark.rule("C4")
def test_the_second_mediator_reverses_the_first() -> None:
    room = room_at("assigned>decided>appealed>assigned_m2")

    decided = room.decide(0, by="m2")[0]

    assert isinstance(decided, MediationDecided)
    assert (decided.round, decided.mediator_id, decided.refund_minor) == (2, "m2", 0)


@pytest.mark.rule("R44")
@pytest.mark.rule("R29")
@pytest.mark.rule("C6")
def test_cancelling_the_arbitration_names_its_consequence_or_nothing_moves() -> None:
    room = room_at("assigned>asked_both>solution")

    assert refusal(room.cancel(expect="reopenable")) == ("consequence_changed", {"actual": "released_to_seller"})
    cancelled = room.cancel()[0]
    assert isinstance(cancelled, MediationCancelled)
    assert (cancelled.round, cancelled.status) == (1, "closed")
    assert room.due() is None


@pytest.mark.rule("R44")
@pytest.mark.rule("C6")
def test_where_the_policy_refuses_it_arbitration_cannot_be_cancelled() -> None:
    room: Room = room_at("assigned", policy=under(cancel_arbitration="refused"))

    assert refusal(room.cancel())[0] == "not_allowed"
