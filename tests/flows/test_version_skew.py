"""Services of two versions side by side, each way: what the older one cannot read waits for it to be upgraded, nothing
is lost, and the end is the same."""

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from deploy.memory import MemoryPaymentService, whole_system
from schemas.dispute.events import DisputeClosed
from shared.kernel.codec import header
from shared.runtime.memory import World
from shared.runtime.shard_loop import ShardLoop
from tests.support.commands import command

COMMANDS = count()
PLACE: dict[str, Any] = {
    "buyer": {"id": "anna", "email": "anna@example.com"},
    "seller": {"id": "bruno", "email": "bruno@example.com"},
    "currency": "EUR",
    "lines": [{"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": 5_000}],
}
CLAIM: dict[str, Any] = {"received": False, "reason": "not_received", "description": "no"}
OFFER = {"kind": "refund", "refund_minor": 4_000}
CLOSED = "dispute.events", DisputeClosed.type


class Older(BaseModel):
    """How a version reads `dispute.closed` that does not know this outcome yet."""

    outcome: Literal["cancelled", "decided"]

    @classmethod
    def read(cls, value: bytes) -> Any:
        cls.model_validate_json(value)
        return DisputeClosed.read(value)


def knows_no_outcome(order: ShardLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(order.decoder.heard, CLOSED, Older)


def knows_no_such_type(order: ShardLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(order.decoder.heard, CLOSED)
    passes_over = order.decoder._passes_over
    monkeypatch.setattr(order.decoder, "_passes_over", lambda *about: about != CLOSED and passes_over(*about))


class Market:
    def __init__(self, world: World) -> None:
        self.world = world
        [self.payments] = [one for one in world.external_systems if isinstance(one, MemoryPaymentService)]
        self.order = next(loop for loop in world.loops if loop.decider.service == "order")

    async def says(self, order_id: str, name: str, role: str, **data: Any) -> None:
        people = {"buyer": "anna", "seller": "bruno"}
        given = command(f"{name}.v1", order_id, role, people.get(role, role), data, f"c{next(COMMANDS)}")
        self.world.bus.append(given.topic, order_id.encode(), given.value, given.headers)
        await self.world.settle()

    async def quarrel(self, order_id: str) -> None:
        """To its end, where both agree."""
        payment = {"payment_id": f"pay-{order_id}", "amount_minor": 5_000}
        await self.says(order_id, "order.place", "platform", **PLACE, payment=payment)
        await self.says(order_id, "order.ship", "seller", carrier="DHL", tracking_number="T1")
        about = {"dispute_id": f"{order_id}.d1"}
        claim = {"kind": "refund", "refund_minor": 5_000}
        await self.says(order_id, "dispute.open", "buyer", **about, **CLAIM, terms=claim)
        await self.says(order_id, "dispute.offer", "seller", **about, terms=OFFER)
        await self.says(order_id, "dispute.accept_offer", "buyer", **about, offer_id=2)

    def moved(self, order_id: str) -> list[tuple[str, int]]:
        found = (one for one in self.payments.provider.moved if one.payment_key.startswith(order_id))
        return sorted((one.payment_key.rpartition("/")[2], one.amount_minor) for one in found)

    def letters(self) -> list[str]:
        records = self.world.bus.records("order.dead-letters")
        return [(header(one.headers, "x-dead-letter-reason") or "").split(": ")[1] for one in records]

    async def taken_over(self) -> None:
        shards = range(self.world.bus.partitions)
        self.order.drop(shards)
        await self.order.claim(shards)
        await self.world.settle()


SETTLED = [("payout", 1_000), ("refund", 4_000)]


@pytest.mark.parametrize(
    ("older", "reason"), [(knows_no_outcome, "unreadable_event"), (knows_no_such_type, "unknown_type")]
)
async def test_a_reader_that_is_a_version_behind_loses_nothing(
    older: Callable[[ShardLoop, pytest.MonkeyPatch], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = await whole_system()
    market = Market(world)
    with monkeypatch.context() as behind:
        older(market.order, behind)
        await market.quarrel("o1")
        assert market.moved("o1") == []
        assert market.letters() == [reason]
        await market.says("o2", "order.place", "platform", **PLACE, payment={"payment_id": "p2", "amount_minor": 5_000})
        await market.says("o2", "order.cancel", "buyer")
        assert market.moved("o2") == [("refund", 5_000)], "the others go on"
        await market.says("o1", "order.resume", "operator")
        assert market.moved("o1") == []
        await market.taken_over()
        await world.wait(timedelta(days=40))
        assert market.moved("o1") == [], "not by the clock either"

    await market.taken_over()
    await world.wait(timedelta(days=1))
    assert market.moved("o1") == SETTLED
    assert not [loop.decider.service for loop in world.loops for shard in loop.shards.values() if shard.claim.parked]


async def test_a_writer_that_is_a_version_ahead_may_say_more_than_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = await whole_system()
    append = world.bus.append

    def says_more(topic: str, key: bytes | None, value: bytes | None, *more: Any) -> Any:
        if topic.endswith(".events") and topic != "payments.events":
            value = json.dumps(json.loads(value or b"") | {"news": {"of": ["a", "newer", "version"]}}).encode()
        return append(topic, key, value, *more)

    monkeypatch.setattr(world.bus, "append", says_more)
    market = Market(world)
    await market.quarrel("o1")
    await world.wait(timedelta(days=1))
    assert market.moved("o1") == SETTLED
    assert market.letters() == []


async def test_who_goes_back_a_version_and_forward_again_ends_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer version has handled one order; the older one, back again, meets what it cannot read of the next."""
    world, _ = await whole_system()
    market = Market(world)
    await market.quarrel("o1")
    with monkeypatch.context() as back:
        knows_no_outcome(market.order, back)
        await market.taken_over()
        await market.quarrel("o2")
        assert (market.moved("o1"), market.moved("o2")) == (SETTLED, [])
    await market.taken_over()
    await world.wait(timedelta(days=1))
    assert market.moved("o2") == SETTLED
