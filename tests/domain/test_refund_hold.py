"""The money of an order is held, its quarrel is not (R63)."""

from typing import Any

import pytest

from schemas.payments.commands import PayBack, PaymentCommand
from schemas.refund.events import MoneyHeld, MoneyUnheld, RefundEvent, RefundSettled, ReviewNeeded
from schemas.wire import Message
from tests.domain.refund_desk import OPERATOR, SELLER, RefundDesk, in_state
from tests.domain.table import outcome
from tests.domain.test_refund import events

pytestmark = pytest.mark.rule("R63")
CAPTURE: dict[str, Any] = {"settlement_id": "order-1", "leg": "capture"}


def charged_back(desk: RefundDesk, reference: str = "bank-9") -> list[Message]:
    return desk.reversed(5_000, key=None, payment_id="pay-1", cause="bank_chargeback", reference=reference)


def test_what_was_decided_meanwhile_is_sent_when_the_money_is_free() -> None:
    desk = in_state("placed")
    (held,) = events(desk.hold(), MoneyHeld)
    assert (held.actor, held.cause, held.reason) == (OPERATOR, "operator", "Looked into")

    assert outcome(desk.settle(700, 300, 0)) == "requested+requested"
    assert {event.stage for event in events(desk.history, RefundEvent)} == {"on_hold"}
    desk.wait(days=3)
    assert outcome(desk.ring()) == "-"
    assert outcome(desk.retry()) == "wrong_state"

    said = desk.unhold()
    assert isinstance(said[0], MoneyUnheld)
    assert [call.payment_key for call in events(said, PaymentCommand)] == ["s1/refund", "s1/payout"]
    assert outcome(desk.settle(100, 0, 0, "s2")) == "requested+refund"


def test_what_waits_is_late_all_the_same() -> None:
    desk = in_state("on_hold")
    desk.wait(days=15)
    assert outcome(desk.ring()) == "overdue"


def test_what_failed_is_not_sent_again_until_it_is_free() -> None:
    desk = in_state("failed_on_hold")
    assert outcome(desk.silence()) == "-"
    desk.unhold()
    desk.now += desk.now.resolution * 1_000
    assert outcome(desk.ring()) == "submitted+refund"


def test_a_movement_that_never_arrived_is_not_sent_again_until_it_is_free() -> None:
    desk = in_state("asking_on_hold")
    assert outcome(desk.failed("unknown_key")) == "failed"
    assert outcome(desk.silence()) == "-"
    assert outcome(desk.unhold()) == "unheld"
    desk.wait(seconds=1)
    assert [call.payment_key for call in events(desk.ring(), PayBack)] == ["s1/refund"]


def test_what_was_sent_goes_on() -> None:
    desk = in_state("asking_on_hold")
    (settled,) = events(desk.paid(), RefundSettled)
    assert settled.stage == "settled"


@pytest.mark.parametrize("state", ["nothing", "noted"])
def test_money_of_nothing_cannot_be_held(state: str) -> None:
    assert outcome(in_state(state).hold()) == "not_found"


def test_only_operators_hold() -> None:
    desk = in_state("placed")
    assert outcome(desk.hold(SELLER)) == "not_allowed"
    assert outcome(desk.unhold(SELLER)) == "not_allowed"


def test_a_bank_that_takes_the_payment_back_puts_it_on_hold_and_before_a_person() -> None:
    desk = in_state("placed")

    held, review = charged_back(desk)[:2]

    assert isinstance(held, MoneyHeld)
    assert isinstance(review, ReviewNeeded)
    assert (held.cause, review.reason, review.leg) == ("bank_chargeback", "bank_chargeback", "capture")
    assert (review.amount_minor, review.provider_reference, review.stage) == (5_000, "bank-9", "manual_review")
    assert outcome(desk.cancel()) == "requested"
    assert charged_back(desk) == []
    assert outcome(charged_back(desk, "bank-10")) == "review_needed"
    assert outcome(desk.retry(**CAPTURE)) == "wrong_state"
    assert outcome(desk.acknowledge(**CAPTURE)) == "acknowledged"
    assert outcome(desk.unhold()) == "unheld+submitted+refund"
    assert outcome(charged_back(desk, "bank-11")) == "held+review_needed"
