"""The verifier follows money that comes back when it should not yet, and money that comes back for good (R62)."""

import pytest

from deploy.memory import open_stage
from deploy.stories.claims import disputed
from deploy.stories.payments import taken_back
from tests.flows.payments import CAPTURED, placed, seller_of
from tests.kit.test_verify import written

pytestmark = pytest.mark.rule("R62")


async def test_a_refund_that_comes_back_before_it_is_settled_is_settled_by_the_next() -> None:
    """Its first movement never ends, and nothing of it is on its way."""
    stage, _ = await open_stage("aliexpress")
    case = await placed(stage, "order-1", payment="silent.answer")
    seller = seller_of(case, "answer")
    await seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1")
    await case.days(7)
    await disputed(case, CAPTURED)
    await seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    key = f"{(await case.hears('refund.requested', leg='refund'))['settlement_id']}/refund"
    await taken_back(case, "bank-1", payment_key=key, amount_minor=CAPTURED, cause="refund_returned")
    await case.hears("refund.review_needed", reason="reversed")
    assert written(stage).verified().problems() == []

    await case.operator.says("refund.retry", settlement_id=key.partition("/")[0], leg="refund")
    await case.hears("order.completed")
    await stage.world.settle()

    assert written(stage).verified().problems() == []


async def test_a_charge_back_that_came_back_is_still_being_charged_back() -> None:
    """The buyer has his money, the seller has it again, and an operator looks."""
    stage, _ = await open_stage("aliexpress")
    case = await placed(stage, "order-1")
    seller = seller_of(case, "answer")
    await seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1")
    await case.days(7)
    await case.buyer.says("order.confirm_receipt")
    await case.hears("refund.paid_out")
    await disputed(case, CAPTURED)
    await seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    back = await case.hears("refund.charged_back")
    key = f"{back['settlement_id']}/chargeback"
    await taken_back(case, "bank-1", payment_key=key, amount_minor=CAPTURED, cause="payout_returned")
    await case.hears("refund.reversed")
    await stage.world.settle()
    assert written(stage).verified().problems() == []

    await case.operator.says("refund.retry", settlement_id=back["settlement_id"], leg="chargeback")
    await case.hears("refund.charged_back")
    await stage.world.settle()

    assert written(stage).verified().problems() == []
