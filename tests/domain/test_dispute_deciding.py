"""Following mediation: decisions, defaults, appeals and waivers (R36, R37, R46, C4, C5)."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.dispute.events import (
    AppealWaived,
    DisputeAppealed,
    DisputeClosed,
    DisputeDecided,
    OfferAccepted,
    ReturnAwaited,
)
from schemas.wire import Message
from tests.domain.dispute_desk import (
    BUYER,
    CLAIMED_MINOR,
    SELLER,
    DisputeDesk,
    desk_in,
    goods_back,
    photo,
    refund,
    rejection,
)
from tests.domain.table import NOON, outcome


def decision(said: list[Message]) -> DisputeDecided:
    (decided,) = (message for message in said if isinstance(message, DisputeDecided))
    return decided


def closing(said: list[Message]) -> DisputeClosed:
    (closed,) = (message for message in said if isinstance(message, DisputeClosed))
    assert closed.final
    return closed


@pytest.mark.rule("C4")
@pytest.mark.rule("R37")
def test_aggravated() -> None:
    """Story 5: a partial refund, the appeal window, then the money is split."""
    desk = desk_in("in_mediation")
    desk.wait(days=1)
    decided = decision(desk.decide(refund_minor=401))
    assert (decided.refund_minor, decided.release_minor, decided.return_required) == (401, 1_099, False)
    assert (decided.by, decided.cause, decided.round, decided.status) == ("mediator", None, 1, "decided")
    assert decided.appeal_until == NOON + timedelta(days=8)
    closed = closing(desk.past("appeal_window"))
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("decided", 401, 1_099)


@pytest.mark.rule("C4")
@pytest.mark.rule("R37")
@pytest.mark.parametrize("by", [BUYER, SELLER], ids=["buyer", "seller"])
def test_appeal(by: Any) -> None:
    """Story 11: the second mediator reverses the first, and that is final."""
    desk = desk_in("decided")
    desk.now = desk.due("appeal_window")
    (appealed,) = desk.appeal(by, photo("video"))
    assert isinstance(appealed, DisputeAppealed)
    assert (appealed.round, appealed.by, appealed.evidence) == (2, by.role, (photo("video"),))
    assert (appealed.explanation, appealed.status) == ("He has not seen the video.", "in_mediation")
    assert outcome(desk.decide(refund_minor=400, round_=1)) == "-"  # of the first round
    said = desk.decide(refund_minor=CLAIMED_MINOR, round_=2)
    assert decision(said).appeal_until is None
    assert (closing(said).refund_minor, closing(said).release_minor) == (CLAIMED_MINOR, 333)
    assert outcome(desk.appeal(SELLER)) == "wrong_state"


@pytest.mark.rule("C4")
def test_a_final_verdict_still_waits_for_the_return() -> None:
    desk = desk_in("decided")
    desk.appeal()
    decided, awaited, *_ = desk.decide(refund_minor=500, return_required=True, round_=2)
    assert isinstance(decided, DisputeDecided)
    assert decided.return_required
    assert isinstance(awaited, ReturnAwaited)
    assert (awaited.refund_minor, awaited.basis) == (500, "decided")
    desk.ship_return()
    closed = closing(desk.confirm_return())
    assert (closed.outcome, closed.refund_minor) == ("decided", 500)


@pytest.mark.rule("C4")
def test_after_an_appeal_every_later_verdict_is_final() -> None:
    desk = desk_in("decided")
    desk.appeal()
    desk.decide(return_required=True, round_=2)
    desk.ship_return()
    desk.contest()
    assert outcome(desk.decide(refund_minor=100, round_=3)) == "decided+closed"


@pytest.mark.rule("C4")
def test_before_an_appeal_a_second_decision_may_still_be_appealed() -> None:
    desk = desk_in("in_mediation")
    desk.decide(return_required=True)
    desk.past("appeal_window")
    desk.ship_return()
    desk.contest()
    assert decision(desk.decide(refund_minor=100, round_=2)).appeal_until is not None
    assert outcome(desk.appeal(SELLER)) == "appealed"


@pytest.mark.rule("C4")
def test_when_both_waive_the_window_ends() -> None:
    desk = desk_in("decided")
    (waived,) = desk.waive(SELLER)
    assert isinstance(waived, AppealWaived)
    assert (waived.by, waived.status) == ("seller", "decided")
    assert outcome(desk.waive(SELLER)) == "wrong_state"
    assert outcome(desk.appeal(SELLER)) == "not_allowed"
    said = desk.waive(BUYER)
    assert outcome(said) == "appeal_waived+closed"
    assert closing(said).refund_minor == 400
    desk = desk_in("decided")
    desk.waive(SELLER)
    assert outcome(desk.appeal(BUYER)) == "appealed"


@pytest.mark.rule("C4")
def test_too_late_for_an_appeal() -> None:
    desk = desk_in("decided")
    desk.now = desk.due("appeal_window") + timedelta(milliseconds=1)
    said = desk.appeal()
    assert outcome(said) == "closed+too_late"
    assert rejection(said).details == {"lost_at": "2026-03-09T12:00:00.000Z"}
    assert outcome(desk.waive()) == "too_late"


@pytest.mark.rule("C5")
def test_without_appeals_decisions_are_final_at_once() -> None:
    desk = desk_in("in_mediation", appeals=0)
    said = desk.decide()
    assert outcome(said) == "decided+closed"
    assert decision(said).appeal_until is None
    assert outcome(desk.appeal()) == "wrong_state"


@pytest.mark.rule("C5")
def test_what_was_agreed_is_not_appealed() -> None:
    desk = desk_in("in_mediation")
    accepted, closed = desk.agree(refund(300), offer_id=4)
    assert isinstance(accepted, OfferAccepted)
    assert (accepted.offer_id, accepted.by, accepted.terms) == (4, "buyer", refund(300))
    assert isinstance(closed, DisputeClosed)
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("offer_accepted", 300, 1_200)
    assert outcome(desk.appeal()) == "wrong_state"


@pytest.mark.rule("R40")
@pytest.mark.parametrize(
    ("cause", "refund_minor", "outcome_"),
    [
        ("buyer_silent", 0, "buyer_silent"),
        ("seller_silent", 1_000, "seller_silent"),
        ("mediation_max", 1_000, "decided"),
    ],
)
def test_a_default_is_decided_like_a_verdict(cause: str, refund_minor: int, outcome_: str) -> None:
    """Story 6, and its sisters: it can be appealed, and closes under its own name."""
    desk = desk_in("in_mediation")
    decided = decision(desk.default(cause, refund_minor=refund_minor))
    assert (decided.by, decided.cause, decided.refund_minor) == ("default", cause, refund_minor)
    assert decided.appeal_until == NOON + timedelta(days=7)
    closed = closing(desk.past("appeal_window"))
    assert (closed.outcome, closed.refund_minor) == (outcome_, refund_minor)


@pytest.mark.rule("R73")
def test_what_never_came_is_not_sent_back_though_mediation_was_not_told_of_it() -> None:
    desk = DisputeDesk()
    desk.open(received=False, reason="not_received")
    desk.reject()
    (escalated,) = desk.escalate()
    assert escalated.received is False  # type: ignore[attr-defined]
    assert not decision(desk.decide(refund_minor=400, return_required=True)).return_required
    assert closing(desk.past("appeal_window")).refund_minor == 400


@pytest.mark.rule("R46")
@pytest.mark.rule("R73")
def test_nothing_is_sent_back_for_nothing() -> None:
    decided = decision(desk_in("in_mediation").decide(refund_minor=0, return_required=True))
    assert not decided.return_required


@pytest.mark.rule("C4")
def test_the_window_counts_from_the_decision_and_the_return_from_its_end() -> None:
    desk = desk_in("in_mediation")
    desk.decide(return_required=True)
    desk.now = desk.due("appeal_window") + timedelta(days=3)  # the bell is late: that costs nobody his time
    awaited = desk.ring()[0]
    assert isinstance(awaited, ReturnAwaited)
    assert awaited.return_ship_by == desk.now + timedelta(days=10)


@pytest.mark.rule("R82")
def test_numbering_goes_on_after_mediation() -> None:
    desk = desk_in("in_mediation")
    desk.agree(goods_back(600), offer_id=7)  # the seller's solution
    desk.ship_return()
    escalated = desk.contest()[1]
    assert (escalated.offers[0].offer_id, escalated.last_offer_id) == (8, 8)  # type: ignore[attr-defined]
