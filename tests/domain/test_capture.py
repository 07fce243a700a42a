"""A capture is a fact of the payment service, not a claim (R61)."""

from datetime import timedelta

import pytest

from schemas.order import events as order
from schemas.payments.commands import ConfirmPayment, PayBack, QueryPayment
from schemas.payments.events import PaymentCaptured, PaymentFailed
from schemas.refund.events import RefundCaptured, RefundFailed, ReviewNeeded
from services.refund.gateway import Paid, answer
from services.refund.ledger import entry
from tests.domain import order_desk, refund_desk
from tests.domain.table import NOON, outcome
from tests.domain.test_refund import UNASKED, events

pytestmark = [pytest.mark.rule("R61"), pytest.mark.usefixtures("either_version")]
KEY = "order-1/capture"
DAY = timedelta(days=1)


def test_an_order_that_must_be_confirmed_waits_for_its_payment() -> None:
    desk = order_desk.OrderDesk()
    order_desk.unpaid(desk)
    (placed,) = events(desk.history, order.Placed)
    assert (placed.status, placed.payment_by) == ("awaiting_payment", NOON + DAY)
    assert placed.processing_ends_at == NOON + 8 * DAY  # the latest it can be

    desk.wait(hours=3)
    (paid,) = events(desk.captured(), order.OrderPaid)
    assert (paid.status, paid.amount_minor) == ("awaiting_shipment", 1_500)
    assert paid.processing_ends_at == NOON + 7 * DAY + timedelta(hours=3)


def test_without_a_word_in_time_it_is_cancelled_with_nothing_to_refund() -> None:
    desk = order_desk.OrderDesk()
    order_desk.unpaid(desk)
    desk.wait(days=1)
    assert outcome(desk.ring()) == "-"
    desk.wait(milliseconds=1)
    (cancelled,) = events(desk.ring(), order.Cancelled)
    assert (cancelled.cause, cancelled.refund_minor, cancelled.status) == ("not_paid", 0, "cancelled")


@pytest.mark.parametrize(("at", "expected"), [(DAY, "paid"), (DAY + timedelta(milliseconds=1), "-")])
def test_a_capture_counts_by_its_own_time_however_late_it_is_heard(at: timedelta, expected: str) -> None:
    desk = order_desk.OrderDesk()
    order_desk.unpaid(desk)
    desk.wait(days=1, minutes=5)
    assert outcome(desk.captured(captured_at=NOON + at)) == expected


def test_what_the_platform_says_was_captured_is_not_asked_about() -> None:
    (captured,) = events(refund_desk.in_state("placed").history, RefundCaptured)
    assert captured.captured_at is None


def test_the_payment_service_is_asked_and_the_books_begin_with_its_word() -> None:
    desk = refund_desk.RefundDesk()
    desk.place(payment_by=NOON + DAY)
    (call,) = events(desk.history, ConfirmPayment)
    assert (call.payment_key, call.payment_id, call.currency, call.amount_minor) == (KEY, "pay-1", "EUR", 5_000)
    assert not [one for one in desk.history if entry(one)]

    desk.wait(minutes=1)
    (captured,) = events(desk.captured(), RefundCaptured)
    assert (captured.payment_id, captured.amount_minor, captured.captured_at) == ("pay-1", 5_000, desk.now)
    assert entry(captured) is not None
    assert desk.captured() == []
    assert desk.earliest is None


@pytest.mark.parametrize("wrong", [{"amount_minor": 4_999}, {"currency": "USD"}, {"payment_id": "pay-9"}])
@pytest.mark.parametrize("state", ["awaiting_capture", "lapsed", "placed"])
def test_another_payment_amount_or_currency_goes_before_a_person(state: str, wrong: dict[str, object]) -> None:
    desk = refund_desk.in_state(state)
    (review,) = events(desk.captured(**wrong), ReviewNeeded)  # type: ignore[arg-type]
    assert (review.reason, review.provider_said) == ("mismatch", "captured")
    assert desk.captured(**wrong) == []  # type: ignore[arg-type]
    assert outcome(desk.acknowledge(**UNASKED)) == "acknowledged"


def test_a_capture_that_comes_too_late_goes_back_in_full() -> None:
    desk = refund_desk.in_state("lapsed")
    said = desk.captured()
    assert outcome(said) == "captured+requested+refund"
    (call,) = events(said, PayBack)
    assert (call.payment_key, call.amount_minor) == ("s1/refund", 5_000)
    assert outcome(desk.paid(5_000)) == "settled"


def test_a_capture_that_crosses_the_cancelling_goes_back_in_full() -> None:
    desk = refund_desk.in_state("awaiting_capture")
    desk.captured()
    assert outcome(desk.not_paid()) == "requested+refund"
    assert desk.not_paid() == []


def test_a_silent_payment_service_is_asked_and_in_the_end_left_alone() -> None:
    desk = refund_desk.in_state("awaiting_capture")
    assert events(desk.silence(), QueryPayment)[0].payment_key == KEY
    assert outcome(desk.failed("unknown_key", key=KEY)) == "submitted+confirm"
    for _ in range(20):
        desk.silence()
    (failed,) = events(desk.history, RefundFailed)[-1:]
    assert (failed.code, failed.leg, failed.retry_at) == ("no_answer", "capture", None)
    assert not events(desk.history, ReviewNeeded)
    assert outcome(desk.captured()) == "captured"


def test_a_payment_that_fails_is_no_operators_business() -> None:
    desk = refund_desk.in_state("awaiting_capture")
    assert outcome(desk.failed("not_yet", key=KEY)) == "failed"
    desk.silence()
    assert outcome(desk.failed("card_declined", retryable=False, key=KEY)) == "failed"
    assert outcome(desk.resolve(settlement_id="order-1", leg="capture")) == "wrong_state"
    assert outcome(desk.silence()) == "-"


def test_the_sandbox_confirms_what_it_is_asked() -> None:
    about = {"order_id": "order-1", "actor": {"role": "platform", "id": "refund"}, "payment_key": KEY}
    confirm = ConfirmPayment.model_validate(about | {"payment_id": "pay-1", "currency": "EUR", "amount_minor": 5_000})
    captured = answer(None, confirm)
    assert isinstance(captured, PaymentCaptured)
    known = Paid("EUR", 5_000, "pay-1")
    assert answer(known, QueryPayment.model_validate(about)) == captured
    assert isinstance(answer(known, confirm.model_copy(update={"amount_minor": 1})), PaymentFailed)
    assert isinstance(answer(None, QueryPayment.model_validate(about)), PaymentFailed)
