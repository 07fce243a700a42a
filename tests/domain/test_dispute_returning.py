"""Goods on their way: back to the seller (R51), or anew to the buyer (C10)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.common import Offer, Terms
from schemas.dispute.commands import ContestReturn
from schemas.dispute.events import (
    DisputeClosed,
    DisputeEscalated,
    ReplacementAwaited,
    ReplacementShipped,
    ReturnAwaited,
    ReturnContested,
    ReturnReceived,
    ReturnReported,
    ReturnShipped,
    ReturnTrackingCorrected,
)
from schemas.wire import Message
from tests.domain.dispute_desk import (
    BUYER,
    SELLER,
    DisputeDesk,
    desk_in,
    goods_back,
    new_parcel,
    photo,
    refund,
    rejection,
)
from tests.domain.table import NOON, outcome

DAY = timedelta(days=1)


def closing(said: list[Message]) -> DisputeClosed:
    (closed,) = (message for message in said if isinstance(message, DisputeClosed))
    assert closed.final
    return closed


@pytest.mark.rule("R51")
def test_return_and_refund() -> None:
    """Story 10: tracking, receipt, refund."""
    desk = DisputeDesk()
    desk.open(goods_back(900))
    desk.wait(days=1)
    _accepted, awaited, *_ = desk.accept(1, SELLER)
    assert isinstance(awaited, ReturnAwaited)
    assert awaited.return_ship_by == NOON + 11 * DAY
    assert (awaited.refund_minor, awaited.basis, awaited.status) == (900, "offer_accepted", "awaiting_return")
    desk.wait(days=1)
    shipped = desk.ship_return()[0]
    assert isinstance(shipped, ReturnShipped)
    assert shipped.return_confirm_by == NOON + 12 * DAY
    assert (shipped.carrier, shipped.tracking_number, shipped.status) == ("Post", "RR1", "return_shipped")
    received, closed = desk.confirm_return()
    assert isinstance(received, ReturnReceived)
    assert not received.silent
    assert isinstance(closed, DisputeClosed)
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("offer_accepted", 900, 600)


@pytest.mark.rule("R51")
def test_what_is_not_shipped_back_in_time_is_paid() -> None:
    desk = desk_in("awaiting_return")
    desk.now = desk.due("return_ship")
    assert outcome(desk.ring()) == "-"
    closed = closing(desk.past("return_ship"))
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("return_not_shipped", 0, 1_500)
    refused = rejection(desk.ship_return())
    assert (refused.code, refused.details) == ("too_late", {"lost_at": "2026-03-12T12:00:00.000Z"})


@pytest.mark.rule("R51")
def test_a_silent_seller_accepts_the_return() -> None:
    desk = desk_in("return_shipped")
    received, closed, *_ = desk.past("return_confirm")
    assert desk.now == NOON + 10 * DAY + timedelta(milliseconds=1)
    assert isinstance(received, ReturnReceived)
    assert received.silent
    assert isinstance(closed, DisputeClosed)
    assert (closed.outcome, closed.refund_minor) == ("offer_accepted", 1_000)
    assert outcome(desk.contest()) == "too_late"
    assert outcome(desk.confirm_return()) == "too_late"


@pytest.mark.rule("R51")
def test_only_the_first_delivery_gives_the_seller_his_days_anew() -> None:
    desk = desk_in("return_shipped")

    def confirm_by(status: str) -> timedelta:
        reported = desk.report(status)[0]
        assert isinstance(reported, ReturnReported)
        assert (reported.tracking_status, reported.status, reported.at) == (status, "return_shipped", desk.now)
        return reported.return_confirm_by - NOON

    desk.wait(days=2)
    assert confirm_by("in_transit") == 10 * DAY
    assert confirm_by("delivered") == 12 * DAY
    desk.wait(days=2)
    assert confirm_by("delivered") == 12 * DAY
    assert desk.due("return_confirm") == NOON + 12 * DAY


@pytest.mark.rule("R51")
def test_a_contested_return_is_judged_and_no_return_is_asked_again() -> None:
    """Story 10, contested. The buyer then asks for the money alone."""
    desk = DisputeDesk()
    desk.open(goods_back(1_000))
    desk.offer(goods_back(800))
    desk.accept(2, BUYER)
    desk.ship_return()
    contested, escalated = desk.contest(photo("stone"))
    assert isinstance(contested, ReturnContested)
    assert (contested.reason, contested.description, contested.evidence) == ("empty", "A stone", (photo("stone"),))
    assert isinstance(escalated, DisputeEscalated)
    assert (escalated.by, escalated.cause, escalated.round) == ("system", "return_contested", 1)
    assert escalated.offers == (Offer(offer_id=3, by="buyer", terms=refund(800)),)
    assert (escalated.last_offer_id, escalated.evidence_ids) == (3, ("stone",))
    assert outcome(desk.decide(refund_minor=700, return_required=True)) == "decided"
    closed = closing(desk.past("appeal_window"))
    assert (closed.outcome, closed.refund_minor) == ("decided", 700)


@pytest.mark.rule("R51")
def test_the_parties_may_agree_on_another_return_themselves() -> None:
    desk = desk_in("return_shipped")
    desk.contest()
    assert outcome(desk.agree(goods_back(600))) == "offer_accepted+return_awaited"
    desk.wait(days=5)
    desk.ship_return()
    assert closing(desk.confirm_return()).refund_minor == 600


@pytest.mark.rule("R82")
@pytest.mark.parametrize(
    ("claimed", "before", "then", "carried"),
    [
        (
            goods_back(600),
            lambda desk: desk.accept(1, SELLER),
            "contest",
            Offer(offer_id=2, by="buyer", terms=refund(600)),
        ),
        (
            goods_back(600),
            lambda desk: desk.accept(1, SELLER),
            "returned",
            Offer(offer_id=1, by="buyer", terms=goods_back(600)),
        ),
        (
            goods_back(600),
            lambda desk: desk.accept(1, SELLER),
            "failed",
            Offer(offer_id=2, by="buyer", terms=refund(600)),
        ),
        (goods_back(600), lambda desk: _agreed(desk, 20), "contest", Offer(offer_id=3, by="buyer", terms=refund(20))),
        (
            goods_back(600),
            lambda desk: _agreed(desk, 20),
            "returned",
            Offer(offer_id=3, by="buyer", terms=goods_back(20)),
        ),
        (refund(600), lambda desk: _decided(desk, 7), "contest", Offer(offer_id=1, by="buyer", terms=refund(600))),
        (goods_back(600), lambda desk: _decided(desk, 7), "contest", Offer(offer_id=8, by="buyer", terms=refund(600))),
        (
            goods_back(600),
            lambda desk: _decided(desk, None),
            "failed",
            Offer(offer_id=3, by="buyer", terms=refund(600)),
        ),
        (goods_back(600), lambda desk: _solved(desk, 5), "contest", Offer(offer_id=6, by="buyer", terms=refund(50))),
    ],
)
def test_what_is_carried_into_mediation_keeps_its_number_and_what_changed_has_the_next(
    claimed: Terms, before: Callable[[DisputeDesk], Any], then: str, carried: Offer
) -> None:
    desk = DisputeDesk()
    desk.open(claimed)
    before(desk)
    desk.ship_return()
    if then == "contest":
        desk.contest()
    else:
        desk.report(then)
        desk.past("return_confirm")
    escalated = [message for message in desk.history if isinstance(message, DisputeEscalated)][-1]
    assert escalated.offers == (carried,)
    assert escalated.last_offer_id >= carried.offer_id
    assert desk.dispute().case.claim == carried


def _agreed(desk: DisputeDesk, minor: int) -> None:
    """The seller's own offer."""
    desk.offer(goods_back(minor))
    desk.accept(2, BUYER)


def _decided(desk: DisputeDesk, last_offer_id: int | None) -> None:
    """With a return, after so many offers in mediation."""
    desk.reject()
    desk.escalate()
    desk.decide(400, return_required=True, last_offer_id=last_offer_id)
    desk.past("appeal_window")


def _solved(desk: DisputeDesk, offer_id: int) -> None:
    """By a solution in mediation."""
    desk.reject()
    desk.escalate()
    desk.agree(goods_back(50), offer_id)


@pytest.mark.rule("R71")
def test_the_buyer_corrects_the_number_of_his_return_until_it_is_delivered() -> None:
    desk = desk_in("return_shipped")
    due = desk.due("return_confirm")
    desk.report("failed")
    corrected = desk.correct_return()[0]
    assert isinstance(corrected, ReturnTrackingCorrected)
    assert (corrected.carrier, corrected.tracking_number) == ("Hermes", "RR9")
    assert (corrected.status, corrected.return_confirm_by) == ("return_shipped", due)
    assert desk.due("return_confirm") == due
    desk.report("delivered")
    assert outcome(desk.correct_return()) == "wrong_state"
    desk.report("returned")
    assert outcome(desk.correct_return()) == "wrong_state"


@pytest.mark.rule("R71")
@pytest.mark.parametrize(
    "reports", ["returned", "failed", "delivered returned", "in_transit failed", "failed corrected"]
)
def test_a_sellers_silence_accepts_no_return_that_did_not_arrive(reports: str) -> None:
    desk = desk_in("return_shipped")
    for report in reports.split():
        desk.correct_return() if report == "corrected" else desk.report(report)
    (escalated, *_) = desk.past("return_confirm")
    assert isinstance(escalated, DisputeEscalated)
    assert (escalated.by, escalated.cause, escalated.round) == ("system", "return_not_delivered", 1)
    assert outcome(desk.contest()) == "too_late"
    assert outcome(desk.decide(return_required=True)) == "decided"
    assert outcome(desk.past("appeal_window")) == "return_awaited"


@pytest.mark.rule("R71")
@pytest.mark.parametrize("reports", ["", "in_transit", "delivered", "failed delivered", "returned in_transit"])
def test_a_sellers_silence_accepts_what_may_have_arrived(reports: str) -> None:
    desk = desk_in("return_shipped")
    for report in reports.split():
        desk.report(report)
    assert outcome(desk.past("return_confirm")) == "return_received+closed"


@pytest.mark.rule("R71")
def test_before_his_time_is_over_the_seller_may_confirm_or_contest_what_the_carrier_gave_up() -> None:
    for act, said in (
        (DisputeDesk.confirm_return, "return_received+closed"),
        (DisputeDesk.contest, "return_contested+escalated"),
    ):
        desk = desk_in("return_shipped")
        desk.report("failed")
        assert outcome(act(desk)) == said


@pytest.mark.rule("R51")
def test_contesting_takes_evidence() -> None:
    with pytest.raises(ValidationError):
        desk_in("return_shipped").say(ContestReturn, reason="empty", description="A stone", evidence=())


@pytest.mark.rule("R51")
def test_a_decided_return_that_is_contested_opens_the_next_round_with_the_claim() -> None:
    desk = desk_in("in_mediation")
    desk.decide(refund_minor=400, return_required=True)
    assert outcome(desk.past("appeal_window")) == "return_awaited"
    desk.ship_return()
    escalated = desk.contest()[1]
    assert isinstance(escalated, DisputeEscalated)
    assert escalated.round == 2
    assert escalated.offers == (Offer(offer_id=1, by="buyer", terms=refund(1_000)),)
    assert outcome(desk.decide(refund_minor=300)) == "-"  # of the first round
    assert outcome(desk.decide(refund_minor=300, round_=2)) == "decided"


@pytest.mark.rule("C10")
def test_a_replacement_that_arrives() -> None:
    desk = DisputeDesk()
    desk.open(new_parcel(900))
    _accepted, awaited, *_ = desk.accept(1, SELLER)
    assert isinstance(awaited, ReplacementAwaited)
    assert (awaited.replacement_ship_by, awaited.refund_minor) == (NOON + 10 * DAY, 900)
    assert awaited.status == "awaiting_replacement"
    desk.wait(days=1)
    shipped = desk.ship_replacement()[0]
    assert isinstance(shipped, ReplacementShipped)
    assert (shipped.replacement_confirm_by, shipped.status) == (NOON + 61 * DAY, "replacement_shipped")
    assert (shipped.carrier, shipped.tracking_number) == ("Post", "RR2")
    closed = closing(desk.confirm_replacement())
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("replaced", 0, 1_500)


@pytest.mark.rule("C10")
def test_a_buyer_who_says_nothing_has_his_replacement() -> None:
    desk = desk_in("replacement_shipped")
    closed = closing(desk.past("replacement_confirm"))
    assert (closed.outcome, closed.refund_minor) == ("replaced", 0)
    assert outcome(desk.escalate()) == "too_late"
    assert outcome(desk.confirm_replacement()) == "too_late"


@pytest.mark.rule("C10")
def test_a_replacement_that_is_not_shipped_is_refunded() -> None:
    desk = DisputeDesk()
    desk.open(new_parcel(900))
    desk.accept(1, SELLER)
    closed = closing(desk.past("replacement_ship"))
    assert (closed.outcome, closed.refund_minor, closed.release_minor) == ("offer_accepted", 900, 600)
    assert outcome(desk.ship_replacement()) == "too_late"


@pytest.mark.rule("C10")
@pytest.mark.rule("R34")
def test_the_dispute_goes_on_when_the_replacement_fails() -> None:
    """The buyer then asks for the money of the terms."""
    desk = desk_in("replacement_shipped")
    desk.show(photo("broken"))
    (escalated,) = desk.escalate()
    assert isinstance(escalated, DisputeEscalated)
    assert (escalated.by, escalated.cause, escalated.statement) == (
        "buyer",
        "replacement_failed",
        "He does not listen.",
    )
    assert escalated.offers == (Offer(offer_id=2, by="buyer", terms=refund(1_000)),)
    assert escalated.evidence_ids == ("broken",)


def test_evidence_of_the_goods_is_a_stage_of_its_own() -> None:
    desk = desk_in("awaiting_return")
    desk.show(photo("parcel"))
    assert [one.stage for one in desk.dispute().case.filed] == ["return"]
    desk = desk_in("replacement_shipped")
    desk.show(photo("parcel"))
    assert [one.stage for one in desk.dispute().case.filed] == ["replacement"]
