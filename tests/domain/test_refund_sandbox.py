"""The sandbox provider's answers: one payment per key, the same answer for ever (N7)."""

from typing import Any

import pytest

from schemas.payments.commands import ChargeBack, PayBack, PayOut, QueryPayment
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.wire import Actor
from services.refund.gateway import Paid, PaymentCommand, answer

ABOUT: dict[str, Any] = {"order_id": "order-1", "actor": Actor(role="platform", id="refund")}
ASK = QueryPayment(payment_key="s1/refund", **ABOUT)


def pay_back(amount_minor: int = 1_000, currency: str = "EUR", key: str = "s1/refund") -> PayBack:
    return PayBack(payment_key=key, payment_id="pay-1", currency=currency, amount_minor=amount_minor, **ABOUT)


def paid_by(command: PaymentCommand) -> Paid:
    settled = answer(None, command)
    assert isinstance(settled, PaymentSettled)
    return Paid(settled.currency, settled.amount_minor, settled.provider_reference)


@pytest.mark.parametrize(
    "command",
    [
        pay_back(),
        PayOut(payment_key="s1/payout", seller_id="sam", currency="EUR", amount_minor=1_000, **ABOUT),
        ChargeBack(payment_key="s1/chargeback", seller_id="sam", currency="EUR", amount_minor=1_000, **ABOUT),
    ],
)
@pytest.mark.rule("N7")
def test_a_movement_is_settled_as_asked_and_every_repeat_is_answered_alike(command: PaymentCommand) -> None:
    settled = answer(None, command)

    assert isinstance(settled, PaymentSettled)
    assert (settled.order_id, settled.payment_key) == ("order-1", command.payment_key)
    assert (settled.currency, settled.amount_minor) == ("EUR", 1_000)
    assert answer(paid_by(command), command) == settled


@pytest.mark.rule("N7")
def test_a_question_is_answered_by_what_was_paid() -> None:
    assert answer(paid_by(pay_back()), ASK) == answer(None, pay_back())


@pytest.mark.rule("N7")
def test_a_question_about_an_unknown_key_says_so() -> None:
    failed = answer(None, ASK)
    assert isinstance(failed, PaymentFailed)
    assert (failed.payment_key, failed.code, failed.retryable) == ("s1/refund", "unknown_key", True)


@pytest.mark.parametrize("other", [pay_back(amount_minor=999), pay_back(currency="JPY")])
@pytest.mark.rule("N7")
def test_another_movement_under_a_known_key_is_refused_for_good(other: PayBack) -> None:
    failed = answer(paid_by(pay_back()), other)
    assert isinstance(failed, PaymentFailed)
    assert (failed.code, failed.retryable) == ("key_used_otherwise", False)


def test_every_key_has_a_reference_of_its_own() -> None:
    references = {paid_by(pay_back(key=key)).provider_reference for key in ("s1/refund", "s1/payout", "s2/refund")}
    assert len(references) == 3
