"""The order service's database is put back while the bus is not: what was paid is not paid again, the other way."""

import copy
from datetime import timedelta

from deploy.memory import MemoryPaymentService, MemoryStage, whole_system
from tests.flows.payments import CAPTURED, paid_out, placed, seller_of
from tests.support.commands import command


async def test_an_order_that_was_paid_out_is_not_refunded_by_a_database_that_does_not_know_it() -> None:
    world, _ = await whole_system(1)
    (payments,) = [one for one in world.external_systems if isinstance(one, MemoryPaymentService)]
    stage = MemoryStage(world, "aliexpress")
    (orders,) = [loop for loop in world.loops if loop.decider.service == "order"]
    await paid_out(stage, "order-0", "answer")
    case = await placed(stage, "order-1")
    await seller_of(case, "answer").says("order.ship", carrier="Cainiao", tracking_number="LP-1")
    await stage.sleep(timedelta(minutes=1))
    backup = copy.deepcopy(world.stores["order"].shards)
    await case.buyer.says("order.confirm_receipt")
    await stage.sleep(timedelta(minutes=1))
    assert [paid.amount_minor for paid in payments.provider.moved] == [CAPTURED, CAPTURED]

    world.stores["order"].shards = backup
    orders.drop([0])
    await orders.claim([0])
    terms = {"kind": "refund", "refund_minor": CAPTURED}
    claim = {"dispute_id": "d1", "received": True, "reason": "damaged", "description": "Broken.", "terms": terms}
    given = command("dispute.open.v1", "order-1", "buyer", case.buyer.id, claim)
    await stage.say(given.topic, "order-1", given.headers, given.value)
    await stage.sleep(timedelta(days=60))

    [problem] = orders.problems.told()
    assert problem["recipe"].endswith("#the-database-is-older-than-the-bus")
    assert [paid.amount_minor for paid in payments.provider.moved] == [CAPTURED, CAPTURED]
