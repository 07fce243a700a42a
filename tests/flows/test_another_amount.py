"""The payment service moves another amount than it was asked to: what really moved is booked, and all the rest follows
(R62)."""

from typing import Any

import pytest

from deploy.memory import MemoryStage
from deploy.payments.provider import Provider
from deploy.stories.claims import disputed
from deploy.stories.dialogue import PlayedOrder
from deploy.stories.payments import taken_back
from schemas.payments.shapes import Leg
from tests.flows.payments import CAPTURED, REVIEW, ended, paid_out, placed, refunded, said, seller_of
from tests.flows.test_payments import DAY, opened
from tests.kit.test_verify import written

pytestmark = pytest.mark.rule("R62")

THIRD = CAPTURED // 3
LESS, MORE = CAPTURED - THIRD, CAPTURED + THIRD


async def in_review(leg: Leg, script: str) -> tuple[MemoryStage, PlayedOrder, Provider]:
    stage, payments = await opened()
    case = await (refunded if leg == "refund" else paid_out)(stage, "order-1", script)
    await stage.until(lambda: any(one.type == REVIEW for one in said(case, leg)), case, DAY)
    return stage, case, payments.provider


async def resolved(case: PlayedOrder, leg: Leg, provider: Provider) -> dict[str, Any]:
    """As the operator reads it in his queue."""
    moved = provider.moved[-1]
    return await case.operator.says(
        "refund.resolve",
        settlement_id="order-1:1",
        leg=leg,
        outcome="settled",
        provider_reference=moved.provider_reference,
        note="As the bank's statement says.",
        amount_minor=moved.amount_minor,
    )


@pytest.mark.parametrize("leg", ["refund", "payout"])
async def test_of_less_the_rest_follows_and_the_books_are_true(leg: Leg) -> None:
    stage, case, provider = await in_review(leg, "short.answer")

    part = await resolved(case, leg, provider)
    assert (part["amount_minor"], part["rest_minor"]) == (LESS, THIRD)
    await ended(case, leg, within=DAY)
    await stage.sleep(DAY)

    moved = [(paid.payment_key, paid.amount_minor) for paid in provider.moved]
    assert moved == [(f"order-1:1/{leg}", LESS), (f"order-1:1/{leg}~2", THIRD)]
    told = [event.data["stage"] for event in said(case, leg)]
    assert told == ["submitted", "manual_review", "requested", "retrying", "settled"]
    report = written(stage).verified()
    assert report.problems() == []
    assert report.excused == {}, "nothing is left to explain"
    assert report.money["EUR"]["paid_back" if leg == "refund" else "paid_out"] == CAPTURED


async def test_an_order_is_completed_when_the_buyer_has_all_of_it() -> None:
    stage, payments = await opened()
    case, provider = await placed(stage, "order-1", payment="short.silent.answer"), payments.provider
    seller = seller_of(case, "answer")
    await seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1")
    await case.days(7)
    await disputed(case, CAPTURED)
    await seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await case.hears(REVIEW, reason="mismatch")
    before = len(case.seen)
    await resolved(case, "refund", provider)
    await stage.until(lambda: provider.moved[-1].amount_minor == THIRD, case, DAY)
    assert not [event for event in case.seen if event.type == "order.completed"], "the rest is on its way"
    assert written(stage).verified().problems() == []

    await stage.sleep(DAY)
    await case.hears("order.completed")

    (settled,) = [event for event in case.seen[before:] if event.type == "refund.settled"]
    assert settled.data["refund_minor"] == THIRD


async def test_a_part_that_comes_back_is_owed_again() -> None:
    stage, case, provider = await in_review("refund", "short.answer")
    await resolved(case, "refund", provider)
    await ended(case, "refund", within=DAY)
    await taken_back(case, "bank-9", payment_key="order-1:1/refund", amount_minor=LESS, cause="refund_returned")
    await case.hears("refund.reversed", amount_minor=LESS)
    await stage.world.settle()
    assert written(stage).verified().problems() == []

    await case.operator.says("refund.retry", settlement_id="order-1:1", leg="refund")
    await case.hears("refund.settled", refund_minor=LESS)
    await stage.world.settle()

    report = written(stage).verified()
    assert report.problems() == []
    assert (report.money["EUR"]["paid_back"], report.money["EUR"]["escrow"]) == (CAPTURED, 0)


@pytest.mark.parametrize("leg", ["refund", "payout"])
async def test_of_more_the_excess_waits_for_a_person_and_the_books_are_true(leg: Leg) -> None:
    stage, case, provider = await in_review(leg, "over")

    await resolved(case, leg, provider)
    too_much = await case.hears("refund.moved_too_much")
    assert too_much["amount_minor"] == THIRD
    assert (await case.hears(REVIEW, reason="moved_too_much"))["stage"] == "manual_review"
    await case.operator.says("refund.acknowledge", settlement_id="order-1:1", leg=leg, note="Written off.")
    await stage.sleep(DAY)

    report = written(stage).verified()
    assert report.problems() == []
    assert report.excused == {}
    sums = report.money["EUR"]
    assert (sums["paid_back" if leg == "refund" else "paid_out"], sums["escrow"], sums["excess"]) == (MORE, 0, -THIRD)
