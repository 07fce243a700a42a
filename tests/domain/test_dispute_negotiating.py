"""Offers, answers and silence: the parties' own attempt to agree (R19–R24, C1, C2)."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from schemas.common import Offer, Terms
from schemas.dispute.events import (
    DisputeClosed,
    DisputeEscalated,
    DisputeModified,
    MessageSent,
    OfferAccepted,
    OfferMade,
    ReturnAwaited,
)
from schemas.wire import Actor
from tests.domain.dispute_desk import (
    BEA,
    BUYER,
    CLAIMED_MINOR,
    NOTHING,
    SAM,
    SELLER,
    DisputeDesk,
    days,
    desk_in,
    goods_back,
    photo,
    refund,
    rejection,
    under,
)
from tests.domain.table import NOON, outcome


@pytest.mark.rule("R20")
@pytest.mark.parametrize(("kind", "refund_minor"), [("none", 1), ("refund", 0), ("return_and_refund", 0)])
def test_nothing_is_offered_exactly_by_the_kind_none(kind: str, refund_minor: int) -> None:
    with pytest.raises(ValidationError, match="refund_minor is 0 for the kind none"):
        Terms.model_validate({"kind": kind, "refund_minor": refund_minor})


@pytest.mark.rule("R23")
@pytest.mark.rule("R11")
def test_received_follows_a_new_reason() -> None:
    desk = desk_in("awaiting_seller")
    (modified,) = desk.modify(reason="not_received", description="It never came", evidence=(photo("p1"),))
    assert isinstance(modified, DisputeModified)
    assert (modified.reason, modified.received) == ("not_received", False)
    (modified,) = desk.modify(description="It came, empty")
    assert isinstance(modified, DisputeModified)
    assert (modified.reason, modified.received) == (None, None)
    with pytest.raises(ValidationError, match="nothing to modify"):
        desk.modify()


@pytest.mark.rule("R23")
@pytest.mark.rule("R20")
def test_new_terms_are_a_new_offer_and_the_old_one_is_gone() -> None:
    desk = desk_in("awaiting_seller")
    modified, offer = desk.modify(terms=refund(800))
    assert isinstance(modified, DisputeModified)
    assert isinstance(offer, OfferMade)
    assert (offer.offer_id, offer.by, offer.terms, offer.message) == (2, "buyer", refund(800), None)
    assert outcome(desk.accept(1, SELLER)) == "offer_superseded"
    _accepted, closed = desk.accept(2, SELLER)
    assert isinstance(closed, DisputeClosed)
    assert (closed.refund_minor, closed.release_minor) == (800, 700)


@pytest.mark.rule("R23")
@pytest.mark.parametrize("how", ["modify", "offer"])
def test_only_a_higher_claim_gives_the_seller_his_time_anew(how: str) -> None:
    desk = DisputeDesk(under(auto_escalation=days(40)))
    desk.open(refund(500))
    desk.wait(days=10)

    def claim(refund_minor: int) -> OfferMade:
        terms = refund(refund_minor)
        offer = (desk.modify(terms=terms) if how == "modify" else desk.offer(terms, BUYER))[-1]
        assert isinstance(offer, OfferMade)
        return offer

    assert claim(400).seller_answer_by == NOON + timedelta(days=15)
    assert claim(400).seller_answer_by == NOON + timedelta(days=15)
    assert claim(500).seller_answer_by == NOON + timedelta(days=25)
    desk.now = NOON + timedelta(days=16)
    assert outcome(desk.ring()) == "-"
    assert outcome(desk.past("seller_first_response")) == "closed"
    assert desk.now == NOON + timedelta(days=25, milliseconds=1)


@pytest.mark.rule("R23")
def test_a_seller_who_has_answered_is_not_asked_again() -> None:
    desk = desk_in("negotiating")
    offer = desk.offer(refund(CLAIMED_MINOR), BUYER)[0]
    assert isinstance(offer, OfferMade)
    assert (offer.seller_answer_by, offer.status) == (None, "negotiating")


@pytest.mark.rule("R12")
@pytest.mark.rule("R13")
@pytest.mark.parametrize("by", [BUYER, SELLER], ids=["buyer", "seller"])
def test_nobody_offers_more_than_can_be_claimed(by: Actor) -> None:
    desk = desk_in("awaiting_seller")
    said = desk.offer(refund(CLAIMED_MINOR + 1), by)
    assert rejection(said).details == {"max_minor": CLAIMED_MINOR}
    assert outcome(desk.modify(terms=refund(CLAIMED_MINOR + 1))) == "amount_exceeds"
    assert outcome(desk.offer(refund(CLAIMED_MINOR), by)) == "offer_made"


@pytest.mark.rule("R19")
def test_a_rejection_is_an_offer_of_nothing_which_only_a_seller_makes() -> None:
    desk = desk_in("awaiting_seller")
    assert outcome(desk.offer(NOTHING, BUYER)) == "not_allowed"
    assert outcome(desk.modify(terms=NOTHING)) == "not_allowed"
    (offer,) = desk.reject()
    assert isinstance(offer, OfferMade)
    assert (offer.offer_id, offer.by, offer.terms) == (2, "seller", NOTHING)
    assert (offer.message, offer.seller_answer_by, offer.status) == ("It was whole.", None, "negotiating")


@pytest.mark.rule("R73")
@pytest.mark.rule("R10")
@pytest.mark.parametrize("state", ["awaiting_seller", "negotiating", "closed"])
def test_what_never_came_is_not_sent_back(state: str) -> None:
    desk = DisputeDesk()
    desk.open(received=False, reason="late")
    if state != "awaiting_seller":
        desk.reject()
    if state == "closed":
        desk.accept(2)
    for refused in (
        desk.modify(terms=goods_back()),
        desk.modify(reason="not_received", terms=goods_back()),
        desk.offer(goods_back(), BUYER),
        desk.offer(goods_back(), SELLER),
    ):
        assert outcome(refused) == "invalid"
    came_after_all = desk.modify(reason="damaged", terms=goods_back())
    assert outcome(came_after_all) == ("wrong_state" if state == "closed" else "modified+offer_made")
    assert outcome(desk.offer(goods_back(500), SELLER)) == ("invalid" if state == "closed" else "offer_made")


@pytest.mark.rule("R73")
@pytest.mark.parametrize("then", ["accepted", "escalated", "new_offer"])
def test_an_open_offer_to_take_back_what_never_came_is_gone(then: str) -> None:
    desk = desk_in("awaiting_seller")
    desk.offer(goods_back(700))
    desk.modify(reason="not_received")

    match then:
        case "accepted":
            assert rejection(desk.accept(2)).details == {"offer": None}
            assert rejection(desk.accept(2)).code == "offer_superseded"
        case "escalated":
            (escalated,) = desk.escalate()
            assert isinstance(escalated, DisputeEscalated)
            assert (escalated.received, [offer.offer_id for offer in escalated.offers]) == (False, [1])
        case "new_offer":
            desk.offer(refund(700))
            assert outcome(desk.accept(3)) == "offer_accepted+closed"


@pytest.mark.rule("R73")
def test_another_offer_of_the_seller_stays_when_the_reason_changes_to_nothing_received() -> None:
    desk = desk_in("awaiting_seller")
    desk.offer(refund(700))
    desk.modify(reason="not_received")
    assert outcome(desk.accept(2)) == "offer_accepted+closed"


@pytest.mark.rule("R73")
@pytest.mark.rule("R10")
def test_who_wants_to_send_it_back_has_received_it() -> None:
    desk = DisputeDesk()
    desk.open(goods_back())
    assert outcome(desk.modify(reason="not_received")) == "invalid"
    assert outcome(desk.modify(reason="not_received", terms=refund())) == "modified+offer_made"


@pytest.mark.rule("R21")
@pytest.mark.rule("R20")
def test_bait_and_switch_moves_nothing() -> None:
    """Story 16: the buyer accepts offer 2 while the seller replaces it with offer 3."""
    desk = desk_in("awaiting_seller")
    desk.offer(refund(900))
    desk.offer(refund(1))
    refused = rejection(desk.accept(2))
    assert refused.code == "offer_superseded"
    assert refused.details == {"offer": {"offer_id": 3, "by": "seller", "terms": {"kind": "refund", "refund_minor": 1}}}
    assert outcome(desk.accept(3)) == "offer_accepted+closed"


@pytest.mark.rule("R22")
@pytest.mark.rule("C5")
def test_the_trap() -> None:
    """Story 2: no return and no refund; who accepts that has lost, for good."""
    desk = desk_in("negotiating")
    accepted, closed = desk.accept(2)
    assert isinstance(accepted, OfferAccepted)
    assert (accepted.offer_id, accepted.by, accepted.terms) == (2, "buyer", NOTHING)
    assert isinstance(closed, DisputeClosed)
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("offer_accepted", 0, 1_500)
    assert (closed.final, closed.status) == (True, "closed")
    assert outcome(desk.appeal()) == "wrong_state"
    assert outcome(desk.escalate()) == "wrong_state"
    assert outcome(desk.request()) == "already_exists"


@pytest.mark.rule("R21")
def test_which_offers_can_be_accepted() -> None:
    desk = desk_in("negotiating")
    assert outcome(desk.accept(1, BUYER)) == "not_allowed"  # his own
    assert outcome(desk.accept(2, SELLER)) == "not_allowed"
    assert outcome(desk.accept(3, BUYER)) == "not_found"
    desk.offer(refund(700), BUYER)
    assert outcome(desk.accept(1, SELLER)) == "offer_superseded"
    assert outcome(desk.accept(1, BUYER)) == "offer_superseded"
    assert outcome(desk.accept(3, SELLER)) == "offer_accepted+closed"


@pytest.mark.rule("R21")
def test_before_the_seller_offered_anything_no_old_offer_can_be_taken_for_his() -> None:
    desk = desk_in("awaiting_seller")
    desk.offer(refund(700), BUYER)
    refused = rejection(desk.accept(1, BUYER))
    assert (refused.code, refused.details) == ("offer_superseded", {"offer": None})


@pytest.mark.rule("R29")
def test_accepting_means_settling() -> None:
    desk = desk_in("negotiating")
    refused = rejection(desk.accept(2, expect="reopenable"))
    assert (refused.code, refused.details) == ("consequence_changed", {"actual": "settled_on_offer"})
    assert outcome(desk.accept(2, expect="settled_on_offer")) == "offer_accepted+closed"


@pytest.mark.rule("R24")
@pytest.mark.rule("R19")
def test_a_message_is_no_answer() -> None:
    desk = desk_in("awaiting_seller")
    (sent,) = desk.write(SELLER)
    assert isinstance(sent, MessageSent)
    assert (sent.by, sent.text, sent.status) == ("seller", "Where is it?", "awaiting_seller")
    assert outcome(desk.past("seller_first_response")) == "closed"


@pytest.mark.rule("C2")
def test_the_parcel_that_never_came() -> None:
    """Story 1: the seller is silent; the buyer's current terms are granted."""
    desk = desk_in("awaiting_seller")
    desk.modify(terms=refund(900))
    desk.now = NOON + timedelta(days=15)
    assert outcome(desk.ring()) == "-"  # an input at the deadline beats it
    closed = desk.past("seller_first_response")[0]
    assert isinstance(closed, DisputeClosed)
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("seller_silent", 900, 600)
    assert closed.final
    assert closed.actor is None


@pytest.mark.rule("C2")
def test_silence_grants_a_return_as_a_return() -> None:
    desk = DisputeDesk()
    desk.open(goods_back(900))
    awaited = desk.past("seller_first_response")[0]
    assert isinstance(awaited, ReturnAwaited)
    assert (awaited.basis, awaited.refund_minor) == ("seller_silent", 900)
    assert awaited.return_ship_by == desk.now + timedelta(days=10)


@pytest.mark.rule("R0")
def test_an_answer_at_the_deadline_counts_and_one_after_it_does_not() -> None:
    desk = desk_in("awaiting_seller", auto_escalation=days(40))
    desk.now = desk.due("seller_first_response")
    assert outcome(desk.reject()) == "offer_made"
    desk = desk_in("awaiting_seller", auto_escalation=days(40))
    desk.now = desk.due("seller_first_response") + timedelta(milliseconds=1)
    said = desk.reject()
    assert outcome(said) == "closed+too_late"
    assert rejection(said).details == {"lost_at": "2026-03-17T12:00:00.000Z"}
    assert outcome(desk.offer(refund(1))) == "too_late"
    assert outcome(desk.accept(1, SELLER)) == "too_late"
    assert outcome(desk.offer(refund(1), BUYER)) == "wrong_state"


@pytest.mark.rule("R20")
@pytest.mark.rule("R19")
def test_accepting_is_an_answer_too() -> None:
    desk = desk_in("awaiting_return")
    desk.ship_return()
    desk.wait(days=9)
    desk.report("delivered")
    desk.wait(days=9)
    assert outcome(desk.reject()) == "wrong_state"


@pytest.mark.rule("C2")
def test_the_silence_rule_goes_before_the_automatic_escalation() -> None:
    desk = desk_in("awaiting_seller")
    assert desk.due("seller_first_response") == desk.due("auto_escalation")
    assert outcome(desk.past("auto_escalation")) == "closed"


@pytest.mark.rule("C2")
def test_under_other_rules_silence_leads_to_mediation() -> None:
    desk = desk_in("awaiting_seller", seller_silence="escalate")
    escalated = desk.past("seller_first_response")[0]
    assert isinstance(escalated, DisputeEscalated)
    assert (escalated.by, escalated.cause, escalated.round) == ("system", "seller_silent", 1)


@pytest.mark.rule("C2")
def test_no_agreement() -> None:
    """Story 7: offers for fifteen days, then mediation by itself, with the offers that are open by then."""
    desk = desk_in("negotiating")
    desk.wait(days=3)
    desk.offer(refund(600))
    desk.offer(goods_back(950), BUYER)
    escalated = desk.past("auto_escalation")[0]
    assert desk.now == NOON + timedelta(days=15, milliseconds=1)
    assert isinstance(escalated, DisputeEscalated)
    assert (escalated.by, escalated.cause, escalated.statement) == ("system", "no_agreement", None)
    assert escalated.offers == (
        Offer(offer_id=4, by="buyer", terms=goods_back(950)),
        Offer(offer_id=3, by="seller", terms=refund(600)),
    )
    assert (escalated.last_offer_id, escalated.claimed_minor) == (4, CLAIMED_MINOR)
    assert (escalated.buyer, escalated.seller, escalated.policy) == (BEA.only_id, SAM.only_id, desk.policy)


@pytest.mark.rule("C1")
def test_escalating_by_hand_waits_for_the_window() -> None:
    desk = desk_in("awaiting_seller")
    desk.show(photo("p1"))
    desk.show(photo("s1"), by=SELLER)
    refused = rejection(desk.escalate())
    assert (refused.code, refused.details) == ("too_early", {"available_at": "2026-03-09T12:00:00.000Z"})
    desk.now = NOON + timedelta(days=7)
    (escalated,) = desk.escalate()
    assert isinstance(escalated, DisputeEscalated)
    assert (escalated.by, escalated.cause, escalated.statement) == ("buyer", "window", "He does not listen.")
    assert escalated.offers == (Offer(offer_id=1, by="buyer", terms=refund()),)
    assert escalated.evidence_ids == ("p1", "s1")
    assert [(one.evidence_id, one.by) for one in escalated.filed] == [("p1", "buyer"), ("s1", "seller")]


@pytest.mark.rule("C1")
@pytest.mark.parametrize("answer", [NOTHING, refund(999)], ids=["reject", "counter-offer"])
def test_the_sellers_answer_opens_the_way_at_once(answer: Terms) -> None:
    desk = desk_in("awaiting_seller")
    desk.wait(days=2)
    offer = desk.offer(answer)[0]
    assert isinstance(offer, OfferMade)
    assert offer.escalatable_from == NOON + timedelta(days=2)
    (escalated,) = desk.escalate()
    assert isinstance(escalated, DisputeEscalated)
    assert escalated.cause == "rejected"


@pytest.mark.rule("C1")
def test_a_late_answer_does_not_move_the_way_back() -> None:
    desk = desk_in("awaiting_seller")
    desk.wait(days=9)
    offer = desk.reject()[0]
    assert isinstance(offer, OfferMade)
    assert offer.escalatable_from == NOON + timedelta(days=7)


@pytest.mark.rule("C1")
def test_where_nobody_escalates_by_hand_an_answer_changes_nothing() -> None:
    desk = desk_in("negotiating", manual_escalation=None)
    assert outcome(desk.escalate()) == "not_allowed"
    assert outcome(desk.past("auto_escalation")) == "escalated"
