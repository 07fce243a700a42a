"""The verifier knows reminders: nobody is reminded of what is over, or twice of one end of a clock (R68, E2)."""

from datetime import timedelta

import pytest

from deploy.memory import open_stage
from deploy.stories.claims import before_a_mediator, disputed
from deploy.stories.dialogue import Scene
from tests.kit.test_verify import Plant, Written, changed, copied, headed, written

pytestmark = pytest.mark.rule("R68")


@pytest.fixture(scope="module")
async def market() -> Written:
    """o-1: the seller was reminded to ship, twice, for he had taken more time; and of his first answer. o-2: both are
    asked by a mediator and were reminded."""
    stage, _ = await open_stage("aliexpress")
    scene = Scene(stage, "o")
    scene = await scene.under(reminders=True)
    slow = await scene.order(lamp=90_00)
    await slow.hears("order.reminded", after=5, otherwise="cancelled", refund_minor=90_00)
    await slow.seller.says("order.extend_processing", days=10)
    await slow.hears("order.reminded", after=9, otherwise="cancelled", refund_minor=90_00)
    await slow.seller.says("order.ship", carrier="Post", tracking_number="RR1")
    await disputed(slow, 90_00)
    await slow.hears("dispute.reminded", after=11.25, to="seller", otherwise="settled", refund_minor=90_00)
    asked = await scene.shipped_order(vase=50_00)
    await disputed(asked, 50_00)
    mediator = await before_a_mediator(asked)
    await mediator.says("mediation.ask", dispute_id="d1", question_id="q1", to="both", question="What was in it?")
    await stage.sleep(timedelta(days=8))
    await asked.hears("mediation.reminded", to="buyer", otherwise="decided", refund_minor=0)
    await asked.hears("mediation.reminded", to="seller", otherwise="decided_on_record")
    await stage.world.settle()
    return written(stage)


def test_who_is_reminded_in_time_and_once_of_each_end_is_reminded_rightly(market: Written) -> None:
    report = market.verified()

    assert report.problems() == []
    assert report.checked["E2"] == 5


EARLIER = "2026-01-01T00:00:00.000Z"
PLANTS: list[tuple[Plant, str]] = [
    (copied("dispute.reminded.v1", "o-1"), "the seller is reminded twice"),
    (changed("dispute.reminded.v1", "o-1", ends_at=EARLIER), "of seller_first_response, which ended before"),
    (headed("mediation.reminded.v1", "o-2", time="2099-01-01T00:00:00.000Z"), "of answer, which ended before"),
    (copied("order.reminded.v1", "o-1"), "reminded twice: by order.reminded.v1"),
]


@pytest.mark.parametrize(("plant", "sentence"), PLANTS, ids=[sentence for _, sentence in PLANTS])
def test_who_is_reminded_too_late_or_twice_is_found(market: Written, plant: Plant, sentence: str) -> None:
    problems = plant(market).verified().problems()

    assert any(one.startswith("E2") and sentence in one for one in problems), problems
