"""Providers of every kind, in memory: whatever they do, the money moves at most once and nobody forgets it (N7)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.memory import MemoryPaymentService, MemoryStage, whole_system
from deploy.payments.provider import Provider
from deploy.payments.script import PLAIN, Step, script
from deploy.stories.claims import disputed
from schemas.payments.commands import PayBack, QueryPayment
from schemas.payments.events import PaymentFailed
from schemas.payments.shapes import Leg
from schemas.wire import Actor
from tests.flows.payments import (
    CAPTURED,
    REVIEW,
    SCENARIOS,
    Scenario,
    assert_as_told,
    ended,
    paid_out,
    placed,
    refunded,
    said,
    seller_of,
)

pytestmark = [pytest.mark.rule("N7"), pytest.mark.rule("R52")]

DAY = timedelta(days=1)
"""Eight attempts, the last of them six hours apart, and more."""
PLATFORM = Actor(role="platform", id="refund")
ASK = QueryPayment(order_id="order-1", actor=PLATFORM, payment_key="s1/refund")


async def opened(policy: str = "aliexpress") -> tuple[MemoryStage, MemoryPaymentService]:
    world, _ = await whole_system()
    (payments,) = [stranger for stranger in world.external_systems if isinstance(stranger, MemoryPaymentService)]
    return MemoryStage(world, policy), payments


@pytest.mark.parametrize("leg", ["refund", "payout"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.script)
async def test_what_becomes_of_a_movement(scenario: Scenario, leg: Leg) -> None:
    stage, payments = await opened()
    begin = refunded if leg == "refund" else paid_out

    case = await begin(stage, "order-1", scenario.script)
    await ended(case, leg, within=DAY)
    await stage.sleep(DAY)

    assert_as_told(scenario, case, leg, payments.provider.moved)


async def test_all_of_them_at_once() -> None:
    stage, payments = await opened()
    cases = {one: await refunded(stage, f"order-{number}", one.script) for number, one in enumerate(SCENARIOS)}

    for case in cases.values():
        await ended(case, "refund", within=DAY)

    for scenario, case in cases.items():
        assert_as_told(scenario, case, "refund", payments.provider.moved)


async def test_each_leg_of_an_order_meets_its_own_troubles() -> None:
    stage, payments = await opened()
    case = await placed(stage, "order-1", payment="lost.answer", seller="silent.fail.answer")
    seller = seller_of(case, "silent.fail.answer")
    await seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1")
    await case.buyer.says("order.confirm_receipt")
    await ended(case, "payout", within=DAY)
    await disputed(case, 20_00, reason="defective", description="It leaks.")
    await seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await ended(case, "refund", within=DAY)
    await ended(case, "chargeback", within=DAY)

    await case.ends(buyer=20_00, seller=30_00)
    moved = {paid.payment_key.partition("/")[2]: paid.amount_minor for paid in payments.provider.moved}
    assert moved == {"payout": 50_00, "refund": 20_00, "chargeback": 20_00}
    assert len(payments.provider.moved) == 3
    assert [event.data["stage"] for event in said(case, "chargeback")] == [
        *["submitted", "processing", "failed", "retrying", "settled"]
    ]


@pytest.mark.parametrize("plain", ["payment-1", "order:1", "payment:answer.and-more", "payment:fail-0", "fail"])
def test_an_id_that_ends_in_no_script_is_answered(plain: str) -> None:
    assert script(pay_back(plain)) == PLAIN


def test_a_call_that_comes_again_is_one_call() -> None:
    provider, again = Provider(), Provider()
    calls = [("c1", pay_back("payment:fail.late.answer")), ("c2", pay_back("payment:fail.late.answer"))]

    first = [provider.hear(*call) for call in calls]

    assert [[answer.said.type for answer in answers] for answers in first] == [[PaymentFailed.type], []]
    assert [provider.hear(*call) for call in calls] == [[], []]
    assert len(provider.moved) == 1
    assert [again.hear(*call) for call in calls] == first  # what a process that starts anew makes of its journal
    assert again.hear("c3", ASK) == provider.hear("c3", ASK) != []


KEEPS_ITS_WORD = [step for step in get_args(Step) if step not in ("returned", "recanted", "short", "over")]
"""What was paid stays paid, and is what was asked for; the others are in test_returns.py and test_another_amount.py."""


@given(st.lists(st.sampled_from(KEEPS_ITS_WORD), max_size=5))
@settings(max_examples=60)
async def test_a_provider_that_comes_to_its_senses_has_moved_the_money_once(steps: Sequence[Step]) -> None:
    stage, payments = await opened()

    case = await refunded(stage, "order-1", ".".join([*steps, "answer"]))
    await ended(case, "refund", within=DAY, retries_max=len(steps))
    await stage.sleep(DAY)

    assert case.split() == (CAPTURED, 0)
    assert [paid.amount_minor for paid in payments.provider.moved] == [CAPTURED]
    assert said(case, "refund")[-1].type != REVIEW


def pay_back(payment_id: str) -> PayBack:
    about = {"order_id": "order-1", "payment_key": "s1/refund", "currency": "EUR"}
    return PayBack(actor=PLATFORM, payment_id=payment_id, amount_minor=CAPTURED, **about)
