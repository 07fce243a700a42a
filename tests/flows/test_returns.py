"""Money that was paid and comes back: a person looks, and it is paid anew, once (R62)."""

import pytest

from deploy.memory import MemoryPaymentService, MemoryStage, whole_system
from deploy.stories.dialogue import Participant
from tests.flows.payments import CAPTURED, REVIEW, ended, paid_out, refunded, said
from tests.flows.test_payments import DAY

pytestmark = pytest.mark.rule("R62")


@pytest.mark.parametrize("leg", ["refund", "payout"])
@pytest.mark.parametrize(
    ("script", "stages"),
    [
        ("returned.answer", ["manual_review", "manual_review", "retrying", "settled"]),
        ("recanted.answer", ["manual_review", "manual_review", "retrying", "settled"]),
    ],
)
async def test_what_came_back_is_paid_anew_under_a_key_of_its_own(leg: str, script: str, stages: list[str]) -> None:
    world, _ = await whole_system()
    (payments,) = [stranger for stranger in world.external_systems if isinstance(stranger, MemoryPaymentService)]
    stage = MemoryStage(world, "aliexpress")
    case = await (refunded if leg == "refund" else paid_out)(stage, "order-1", script)
    await stage.until(lambda: any(one.type == REVIEW for one in said(case, leg)), case, DAY)  # type: ignore[arg-type]

    await Participant(case, "operator", "olga").says("refund.retry", settlement_id="order-1:1", leg=leg)
    await ended(case, leg, within=DAY)  # type: ignore[arg-type]
    await stage.sleep(DAY)

    told = [event.data["stage"] for event in said(case, leg)]  # type: ignore[arg-type]
    assert told == ["submitted", "settled", *stages]
    key = f"order-1:1/{leg}"
    moved = [(paid.payment_key, paid.amount_minor) for paid in payments.provider.moved]
    assert moved == [(key, CAPTURED), (f"{key}~2", CAPTURED)]
    assert [back.payment_key for back in payments.provider.returned] == [key]
