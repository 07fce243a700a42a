"""Somebody who is not of this order: what he says of it occupies nothing and tells nobody (R77)."""

from typing import Any

import pytest

from schemas.common import OrderLine, Payment
from schemas.dispute import commands
from schemas.dispute.events import DisputeOpened, DisputeRequested, OpenRefused
from schemas.order.events import FreezeRefused, Placed
from schemas.visibility import history
from schemas.wire import Actor, Event
from services.notification.subscriptions import recipients
from tests.domain.dispute_desk import BEA, BUYER, SAM, SELLER, DisputeDesk, refund, rejection
from tests.domain.table import NOON, newest, outcome

MALLORY = Actor(role="buyer", id="mallory")


def placed_desk() -> DisputeDesk:
    desk = DisputeDesk()
    desk.hear(
        Placed(
            order_id=desk.stream.id,
            status="awaiting_shipment",
            protection_ends_at=None,
            buyer=BEA,
            seller=SAM,
            currency="EUR",
            total_minor=1_500,
            lines=(OrderLine(line_id="shirts", title="Shirts", quantity=3, amount_minor=1_500),),
            payment=Payment(payment_id="p1", amount_minor=1_500),
            policy=newest()[0],
            processing_ends_at=NOON,
        )
    )
    return desk


def claim(desk: DisputeDesk, by: Actor, **data: Any) -> list[Any]:
    about: dict[str, Any] = {"received": True, "reason": "damaged", "description": "Torn", "terms": refund()}
    return desk.say(commands.OpenDispute, by, **(about | data))


@pytest.mark.rule("R77")
def test_a_strangers_claim_is_refused_at_once_and_its_name_stays_free() -> None:
    desk = placed_desk()
    before = desk.state
    refused = rejection(claim(desk, MALLORY))
    assert (refused.code, refused.status, refused.details) == ("not_allowed", None, None)
    assert desk.state == before
    assert outcome(claim(desk, BUYER)) == "requested"
    assert outcome(desk.freeze()) == "opened"
    assert desk.refolded() == desk.state


@pytest.mark.rule("R77")
def test_whoever_is_no_party_is_known_before_a_dispute_is_open() -> None:
    desk = placed_desk()
    claim(desk, BUYER)
    assert outcome(desk.say(commands.RejectOffer, Actor(role="seller", id="sid"))) == "not_allowed"
    assert outcome(desk.say(commands.RejectOffer, SELLER)) == "wrong_state"


@pytest.mark.rule("R77")
def test_what_is_asked_of_an_order_that_is_not_known_yet_leaves_nothing_when_it_is_refused() -> None:
    desk = DisputeDesk()
    (requested,) = claim(desk, MALLORY)
    assert isinstance(requested, DisputeRequested)
    refusal = FreezeRefused(
        order_id=desk.stream.id,
        dispute_id="d1",
        code="not_allowed",
        message="You are not the buyer of this order.",
        visible_to=("operator",),
    )
    (refused,) = desk.hear(refusal)
    assert isinstance(refused, OpenRefused)
    assert (refused.command_id, refused.status) == (requested.command_id, "closed")
    assert recipients(refused) == []
    assert "d1" not in desk.state
    (again,) = claim(desk, BUYER)
    opened = desk.freeze()[0]
    assert isinstance(opened, DisputeOpened)
    assert opened.command_id == again.command_id
    assert desk.refolded() == desk.state

    said = [message for message in desk.history if isinstance(message, Event)]
    for viewer in ("buyer", "seller", "mediator"):
        shown = history([requested, refusal, refused, again, opened], viewer)
        assert [view.type for view in shown] == ["dispute.requested.v1", "dispute.opened.v1"]
        assert shown[0].data["actor"] == BUYER.model_dump()
    assert len(history(said, "operator")) == len(said)


@pytest.mark.rule("R77")
def test_the_answer_at_last_names_the_command() -> None:
    desk = DisputeDesk()
    desk.send(
        commands.OpenDispute(
            order_id=desk.stream.id,
            actor=BUYER,
            dispute_id="d1",
            received=True,
            reason="damaged",
            description="Torn",
            terms=refund(),
        ),
        id="my-claim",
    )
    (refused,) = desk.refuse_freeze()
    assert isinstance(refused, OpenRefused)
    assert (refused.command_id, refused.visible_to) == ("my-claim", None)
    assert recipients(refused) == ["buyer"]


@pytest.mark.rule("R77")
@pytest.mark.parametrize("who", [MALLORY, Actor(role="buyer", id="nobody")])
def test_a_refusal_of_a_right_carries_no_facts_of_the_order(who: Actor) -> None:
    refused = rejection(_opened().say(commands.CancelDispute, who, expect="reopenable"))
    assert (refused.code, refused.status) == ("not_allowed", None)


def _opened() -> DisputeDesk:
    desk = placed_desk()
    desk.open()
    return desk
